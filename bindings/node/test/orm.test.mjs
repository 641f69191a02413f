// Drizzle, Kysely and Prisma on Calf: by their PGlite drivers with the instance, and by `pg` with the connection string.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Calf } from 'calf'
import { PrismaPg } from '@prisma/adapter-pg'
import { eq, relations, sql } from 'drizzle-orm'
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres'
import { bigint, boolean, date, integer, jsonb, numeric, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { Kysely, PGliteDialect, PostgresDialect, sql as kyselySql } from 'kysely'
import pg from 'pg'

const here = dirname(fileURLToPath(import.meta.url))

describe('Drizzle', { timeout: 60_000 }, () => {
  const users = pgTable('drizzle_users', {
    id: serial('id').primaryKey(),
    name: text('name').notNull().unique(),
    age: integer('age'),
    big: bigint('big', { mode: 'bigint' }),
    money: numeric('money'),
    active: boolean('active').default(true),
    born: date('born'),
    created: timestamp('created', { withTimezone: true }).defaultNow(),
    data: jsonb('data'),
    tags: text('tags').array(),
  })
  const posts = pgTable('drizzle_posts', {
    id: serial('id').primaryKey(),
    title: text('title').notNull(),
    author: integer('author').notNull().references(() => users.id),
  })
  const schema = {
    users,
    posts,
    usersRelations: relations(users, ({ many }) => ({ posts: many(posts) })),
    postsRelations: relations(posts, ({ one }) => ({ user: one(users, { fields: [posts.author], references: [users.id] }) })),
  }

  let calf, pool
  before(async () => {
    calf = await Calf.create()
    await calf.exec(`create table drizzle_users (id serial primary key, name text not null unique, age int, big bigint, money numeric,
      active boolean default true, born date, created timestamptz default now(), data jsonb, tags text[]);
      create table drizzle_posts (id serial primary key, title text not null, author int not null references drizzle_users)`)
    pool = new pg.Pool({ connectionString: await calf.connectionString() })
  })
  after(async () => {
    await pool.end()
    await calf.close()
  })

  const drivers = { pglite: () => drizzlePglite({ client: calf, schema }), 'node-postgres': () => drizzlePg({ client: pool, schema }) }
  for (const [name, open] of Object.entries(drivers)) {
    test(`by drizzle-orm/${name}`, async () => {
      const db = open()
      const values = { name, age: 40, big: 9007199254740993n, money: '1.50', born: '1984-05-06', data: { a: [1] }, tags: ['x', 'y,z'] }
      const [user] = await db.insert(users).values(values).returning()
      assert.deepEqual({ ...user, id: 0, created: user.created instanceof Date }, { ...values, id: 0, active: true, created: true })
      await db.insert(posts).values([{ title: 'one', author: user.id }, { title: 'two', author: user.id }])
      const found = await db.query.users.findFirst({ where: eq(users.name, name), with: { posts: { columns: { title: true } } } })
      assert.deepEqual(found.posts, [{ title: 'one' }, { title: 'two' }])
      const joined = await db.select({ title: posts.title, name: users.name }).from(posts).innerJoin(users, eq(posts.author, users.id)).where(eq(users.name, name))
      assert.deepEqual(joined, [{ title: 'one', name }, { title: 'two', name }])
      await assert.rejects(db.insert(users).values({ name }), (error) => (error.cause ?? error).code === '23505')
      await assert.rejects(db.transaction(async (tx) => {
        await tx.update(users).set({ age: 41 }).where(eq(users.name, name))
        await tx.transaction(async (inner) => void (await inner.execute(sql`select 1`)))
        tx.rollback()
      }))
      const prepared = db.select().from(users).where(eq(users.name, sql.placeholder('name'))).prepare(`by_name_${name}`)
      for (let i = 0; i < 4; i++) assert.equal((await prepared.execute({ name }))[0].age, 40)
    })
  }
})

describe('Kysely', { timeout: 60_000 }, () => {
  let calf
  before(async () => (calf = await Calf.create()))

  test('by its PGlite dialect, and by pg', async () => {
    const pool = new pg.Pool({ connectionString: await calf.connectionString() })
    const dialects = { pglite: new PGliteDialect({ pglite: calf }), pg: new PostgresDialect({ pool }) }
    for (const [name, dialect] of Object.entries(dialects)) {
      const db = new Kysely({ dialect })
      const table = `kysely_${name}`
      await db.schema.createTable(table).addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull().unique()).addColumn('data', 'jsonb').execute()
      const inserted = await db.insertInto(table).values({ name: 'a', data: { x: 1 } }).returningAll().executeTakeFirstOrThrow()
      assert.deepEqual(inserted, { id: 1, name: 'a', data: { x: 1 } })
      await assert.rejects(db.insertInto(table).values({ name: 'a' }).execute(), { code: '23505' })
      await assert.rejects(db.transaction().execute(async (trx) => {
        await trx.insertInto(table).values({ name: 'b' }).execute()
        throw new Error('mine')
      }), /mine/)
      await db.transaction().execute((trx) => trx.insertInto(table).values({ name: 'c' }).execute())
      assert.deepEqual(await db.selectFrom(table).select(['name']).orderBy('id').execute(), [{ name: 'a' }, { name: 'c' }])
      const updated = await db.updateTable(table).set({ name: 'd' }).where('name', '=', 'c').executeTakeFirst()
      assert.equal(updated.numUpdatedRows, 1n)
      assert.deepEqual((await kyselySql`select ${1}::int + 1 as two`.execute(db)).rows, [{ two: 2 }])
      const tables = await db.introspection.getTables()
      assert.ok(tables.some((found) => found.name === table && found.columns.length === 3))
      if (name === 'pg') await db.destroy()
    }
    await calf.close()
  })
})

describe('Prisma', { timeout: 120_000 }, () => {
  test('by its driver adapter for pg', async () => {
    // The client and its query compiler need no download; the schema engine, of `prisma migrate`, would, so it is kept out.
    const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' }
    const cli = fileURLToPath(import.meta.resolve('prisma/build/index.js'))
    execFileSync(process.execPath, [cli, 'generate', '--schema', join(here, 'prisma/schema.prisma')], { env, stdio: 'pipe', cwd: here })
    const generated = await import(pathToFileURL(join(here, 'prisma/generated/index.js')))
    const { PrismaClient } = generated.default ?? generated

    const calf = await Calf.create()
    await calf.exec(`create table "User" (id serial primary key, email text not null unique, name text);
      create table "Post" (id serial primary key, title text not null, tags text[], data jsonb, created timestamp(3) not null default now(),
        "authorId" int not null references "User" on delete restrict on update cascade)`)
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: await calf.connectionString() }) })
    const user = await prisma.user.create({
      data: { email: 'a@b.c', name: 'A', posts: { create: [{ title: 'one', tags: ['x', 'y'], data: { k: [1] } }, { title: 'two' }] } },
      include: { posts: { orderBy: { id: 'asc' } } },
    })
    assert.deepEqual(user.posts.map(({ title, tags, data }) => ({ title, tags, data })), [
      { title: 'one', tags: ['x', 'y'], data: { k: [1] } },
      { title: 'two', tags: [], data: null },
    ])
    assert.ok(user.posts[0].created instanceof Date)
    await assert.rejects(prisma.user.create({ data: { email: 'a@b.c' } }), { code: 'P2002' })
    await assert.rejects(prisma.$transaction(async (tx) => {
      await tx.user.create({ data: { email: 'gone' } })
      throw new Error('mine')
    }), /mine/)
    const [changed, count] = await prisma.$transaction([
      prisma.post.updateMany({ where: { author: { email: 'a@b.c' } }, data: { title: 'new' } }),
      prisma.user.count(),
    ])
    assert.deepEqual([changed.count, count], [2, 1])
    assert.deepEqual(await prisma.post.groupBy({ by: ['title'], _count: true }), [{ title: 'new', _count: 2 }])
    assert.deepEqual(await prisma.$queryRaw`select ${1}::int as one`, [{ one: 1 }])
    await prisma.$disconnect()
    await calf.close()
  })
})
