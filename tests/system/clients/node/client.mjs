// Scenarios for node-postgres (`client.mjs pg`) and postgres.js (`client.mjs postgres`).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { createRequire } from 'node:module'

// Packages are installed outside the checkout; NODE_MODULES_AT names the place.
const require = createRequire(process.env.NODE_MODULES_AT + '/')
const url = process.env.DATABASE_URL
const DOCUMENT = { a: [1, 2.5, null, 'ü'], b: { c: true } }
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
const UUID = '01234567-89ab-cdef-0123-456789abcdef'
const NUMBER = '12345678901234567890.123456789'
const MOMENT = new Date('2026-02-28T23:59:59.123Z')
const TABLE = 'create table typed (n numeric, t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool)'

const deadline = (promise, ms = 30000) => {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('deadline')), ms) })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
const report = async (test, call) => {
  try {
    await deadline(call())
    console.log(JSON.stringify({ test, ok: true, detail: '' }))
  } catch (error) {
    console.log(JSON.stringify({ test, ok: false, detail: String(error?.stack ?? error).slice(0, 500) }))
  }
}
const code = async (promise) => {
  try { await promise } catch (error) { return error.code }
  throw new Error('expected an error')
}
const readAll = async (stream) => {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
const LINES = Array.from({ length: 10000 }, (_, n) => `${n}\trow ${n}\n`).join('')

async function nodePostgres() {
  const pg = require('pg')
  const copy = require('pg-copy-streams')
  const Cursor = require('pg-cursor')
  const client = new pg.Client(url)
  await client.connect()
  await report('typed_round_trip', async () => {
    await client.query(TABLE)
    await client.query('insert into typed values ($1,$2,$3,$4,$5,$6,$7,$8,$9)',
      [NUMBER, MOMENT, DOCUMENT, BYTES, UUID, [1, null, 3], null, 0.1, true])
    const { rows } = await client.query('select * from typed')
    assert.deepEqual(rows, [{ n: NUMBER, t: MOMENT, j: DOCUMENT, b: BYTES, u: UUID, a: [1, null, 3], x: null, f: 0.1, o: true }])
  })
  await report('prepared_statements', async () => {
    for (let n = 0; n < 100; n++) {
      const { rows } = await client.query({ name: 'twice', text: 'select $1::int * 2 as d', values: [n] })
      assert.equal(rows[0].d, n * 2)
    }
  })
  await report('transaction_rollback', async () => {
    await client.query('create table tx (n int)')
    await client.query('begin'); await client.query('insert into tx values (1)'); await client.query('rollback')
    await client.query('begin'); await client.query('insert into tx values (2)'); await client.query('commit')
    assert.deepEqual((await client.query('select n from tx')).rows, [{ n: 2 }])
  })
  await report('unique_violation', async () => {
    await client.query('create table once (n int primary key)')
    await client.query('insert into once values (1)')
    assert.equal(await code(client.query('insert into once values ($1)', [1])), '23505')
    assert.equal((await client.query('select 1 as one')).rows[0].one, 1)
  })
  await report('copy_in_out', async () => {
    await client.query('create table copied (n int, x text)')
    await pipeline(Readable.from([LINES]), client.query(copy.from('copy copied from stdin')))
    assert.equal(await readAll(client.query(copy.to('copy copied to stdout'))), LINES)
  })
  await report('listen_notify', async () => {
    const other = new pg.Client(url)
    await other.connect()
    await other.query('listen ch')
    const arrived = once(other, 'notification')
    await client.query("notify ch, 'hi'")
    const [notification] = await deadline(arrived, 5000)
    assert.equal(notification.payload, 'hi')
    await other.end()
  })
  await report('cancel', async () => {
    const victim = new pg.Client(url)
    await victim.connect()
    const running = code(victim.query('select pg_sleep(30)'))
    setTimeout(() => client.query('select pg_cancel_backend($1)', [victim.processID]), 300)
    assert.equal(await deadline(running, 10000), '57014')
    await victim.end()
  })
  await report('concurrent_sessions', async () => {
    await client.query('create table counter (n int)')
    await client.query('insert into counter values (0)')
    const pool = new pg.Pool({ connectionString: url, max: 8 })
    await Promise.all(Array.from({ length: 160 }, () => pool.query('update counter set n = n + 1')))
    assert.equal((await pool.query('select n from counter')).rows[0].n, 160)
    await pool.end()
  })
  await report('pipeline_batch', async () => {
    await client.query('create table batch (n int)')
    await Promise.all(Array.from({ length: 500 }, (_, n) => client.query('insert into batch values ($1)', [n])))
    assert.equal((await client.query('select sum(n)::int as s from batch')).rows[0].s, 124750)
    const cursor = client.query(new Cursor('select n from batch order by n'))
    assert.deepEqual((await cursor.read(3)).map((r) => r.n), [0, 1, 2])
    await cursor.close()
  })
  await client.end()
}

async function postgresJs() {
  const postgres = require('postgres')
  const sql = postgres(url, { max: 8, onnotice: () => {} })
  await report('typed_round_trip', async () => {
    await sql.unsafe(TABLE)
    // Without a NULL in the array: the driver reads it as NaN.
    await sql`insert into typed values (${NUMBER}, ${MOMENT}, ${sql.json(DOCUMENT)}, ${BYTES}, ${UUID}, ${[1, 2, 3]}, ${null}, ${0.1}, ${true})`
    const rows = await sql`select * from typed`
    assert.deepEqual([...rows], [{ n: NUMBER, t: MOMENT, j: DOCUMENT, b: BYTES, u: UUID, a: [1, 2, 3], x: null, f: 0.1, o: true }])
  })
  await report('prepared_statements', async () => {
    for (let n = 0; n < 100; n++) assert.equal((await sql`select ${n}::int * 2 as d`)[0].d, n * 2)
  })
  await report('transaction_rollback', async () => {
    await sql`create table tx (n int)`
    await sql.begin(async (tx) => { await tx`insert into tx values (1)`; throw new Error('mine') }).catch(() => {})
    await sql.begin((tx) => tx`insert into tx values (2)`)
    assert.deepEqual([...await sql`select n from tx`], [{ n: 2 }])
  })
  await report('unique_violation', async () => {
    await sql`create table once (n int primary key)`
    await sql`insert into once values (1)`
    assert.equal(await code(sql`insert into once values (1)`), '23505')
  })
  await report('copy_in_out', async () => {
    await sql`create table copied (n int, x text)`
    await pipeline(Readable.from([LINES]), await sql`copy copied from stdin`.writable())
    // The driver pauses the socket while its stream is full, and does not resume it when the end came meanwhile: a
    // connection of its own, so that no later query gets it.
    const copier = postgres(url, { max: 1 })
    assert.equal(await readAll(await copier`copy copied to stdout`.readable()), LINES)
    await copier.end({ timeout: 1 })
  })
  await report('listen_notify', async () => {
    const arrived = new Promise((resolve) => { sql.listen('ch', resolve).then(() => sql.notify('ch', 'hi')) })
    assert.equal(await deadline(arrived, 5000), 'hi')
  })
  await report('cancel', async () => {
    const query = sql`select pg_sleep(30)`
    setTimeout(() => query.cancel(), 300)
    assert.equal(await deadline(code(query), 10000), '57014')
  })
  await report('concurrent_sessions', async () => {
    await sql`create table counter (n int)`
    await sql`insert into counter values (0)`
    await Promise.all(Array.from({ length: 160 }, () => sql`update counter set n = n + 1`))
    assert.equal((await sql`select n from counter`)[0].n, 160)
  })
  await report('pipeline_batch', async () => {
    await sql`create table batch (n int)`
    await Promise.all(Array.from({ length: 500 }, (_, n) => sql`insert into batch values (${n})`))
    assert.equal((await sql`select sum(n)::int as s from batch`)[0].s, 124750)
    const seen = []
    await sql`select n from batch order by n`.cursor(100, (rows) => { seen.push(rows.length) })
    assert.deepEqual(seen, [100, 100, 100, 100, 100])
  })
  await sql.end({ timeout: 1 })
}

await (process.argv[2] === 'pg' ? nodePostgres() : postgresJs())
