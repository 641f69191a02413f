// Drizzle on the server that PGHOST and PGPORT name: its migrator, CRUD, relational queries.
import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(`${process.env.NODE_MODULES_AT}/`);
const { drizzle } = require("drizzle-orm/node-postgres");
const { migrate } = require("drizzle-orm/node-postgres/migrator");
const { pgTable, pgEnum, serial, text, integer, numeric, timestamp, jsonb, boolean, uuid, varchar, index, uniqueIndex } = require("drizzle-orm/pg-core");
const { eq, and, gt, sql, desc, count, sum, inArray, ilike, relations } = require("drizzle-orm");
const { Pool } = require("pg");

const level = pgEnum("level", ["low", "high"]);
const users = pgTable("users", {
  id: serial("id").primaryKey(),
  name: varchar("name", { length: 50 }).notNull(),
  level: level("level").default("low").notNull(),
  tags: text("tags").array(),
  extra: jsonb("extra"),
  made: timestamp("made", { withTimezone: true }).defaultNow().notNull(),
}, (t) => [uniqueIndex("users_name").on(t.name)]);
const orders = pgTable("orders", {
  id: uuid("id").defaultRandom().primaryKey(),
  userId: integer("user_id").notNull().references(() => users.id, { onDelete: "cascade" }),
  total: numeric("total", { precision: 10, scale: 2 }).notNull(),
  paid: boolean("paid").default(false),
}, (t) => [index("orders_user").on(t.userId, t.total)]);
const usersRelations = relations(users, ({ many }) => ({ orders: many(orders) }));
const ordersRelations = relations(orders, ({ one }) => ({ user: one(users, { fields: [orders.userId], references: [users.id] }) }));

// What drizzle-kit generates for these tables.
const folder = mkdtempSync(join(tmpdir(), "drizzle-"));
mkdirSync(join(folder, "meta"));
writeFileSync(join(folder, "0000_first.sql"), `CREATE TYPE "public"."level" AS ENUM('low', 'high');--> statement-breakpoint
CREATE TABLE "orders" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"user_id" integer NOT NULL,
	"total" numeric(10, 2) NOT NULL,
	"paid" boolean DEFAULT false
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" serial PRIMARY KEY NOT NULL,
	"name" varchar(50) NOT NULL,
	"level" "level" DEFAULT 'low' NOT NULL,
	"tags" text[],
	"extra" jsonb,
	"made" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "orders_user" ON "orders" USING btree ("user_id","total");--> statement-breakpoint
CREATE UNIQUE INDEX "users_name" ON "users" USING btree ("name");`);
writeFileSync(join(folder, "0001_second.sql"), `ALTER TYPE "public"."level" ADD VALUE 'middle' BEFORE 'high';--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "city" text DEFAULT 'x' NOT NULL;--> statement-breakpoint
ALTER TABLE "users" ALTER COLUMN "name" SET DATA TYPE text;--> statement-breakpoint
ALTER TABLE "users" ALTER COLUMN "city" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "users" DROP COLUMN "city";`);
const entries = ["0000_first", "0001_second"].map((tag, idx) => ({ idx, version: "7", when: 1700000000000 + idx, tag, breakpoints: true }));
writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify({ version: "7", dialect: "postgresql", entries }));

const pool = new Pool({ host: process.env.PGHOST, port: process.env.PGPORT, user: "postgres", database: "postgres", max: 3 });
const db = drizzle(pool, { schema: { users, orders, usersRelations, ordersRelations } });
await migrate(db, { migrationsFolder: folder });
await migrate(db, { migrationsFolder: folder });

const [ann, ben] = await db.insert(users).values([{ name: "Ann", tags: ["a", "b"], extra: { k: [1] } }, { name: "Ben", level: "high" }]).returning();
assert.deepEqual([ann.id, ann.level, ann.tags, ann.extra, ben.level], [1, "low", ["a", "b"], { k: [1] }, "high"]);
assert.ok(ann.made instanceof Date);
await db.insert(orders).values([10, 20.5, 30].map((total) => ({ userId: ann.id, total: String(total) })));
const listed = await db.query.users.findMany({ with: { orders: { orderBy: (o) => desc(o.total), limit: 2, columns: { total: true } } }, orderBy: (u) => u.id });
assert.deepEqual(listed.map((u) => u.orders.map((o) => o.total)), [["30", "20.5"], []]);
const one = await db.query.orders.findFirst({ where: (o) => gt(o.total, "25"), with: { user: true } });
assert.equal(one.user.name, "Ann");
const totals = await db.select({ name: users.name, n: count(orders.id), s: sum(orders.total) }).from(users).leftJoin(orders, eq(orders.userId, users.id)).groupBy(users.name).orderBy(users.name);
assert.deepEqual(totals, [{ name: "Ann", n: 3, s: "60.50" }, { name: "Ben", n: 0, s: null }]);
const sub = db.select({ userId: orders.userId, best: sql`max(${orders.total})`.as("best") }).from(orders).groupBy(orders.userId).as("sub");
assert.deepEqual(await db.select({ best: sub.best }).from(users).innerJoin(sub, eq(sub.userId, users.id)), [{ best: "30.00" }]);
const lateral = db.select({ total: orders.total }).from(orders).where(eq(orders.userId, users.id)).orderBy(desc(orders.total)).limit(1).as("top");
assert.deepEqual(await db.select({ name: users.name, top: lateral.total }).from(users).leftJoinLateral(lateral, sql`true`).orderBy(users.name), [{ name: "Ann", top: "30.00" }, { name: "Ben", top: null }]);
await db.insert(users).values({ name: "Ann", level: "middle" }).onConflictDoUpdate({ target: users.name, set: { level: "middle" } });
assert.deepEqual((await db.select().from(users).where(and(ilike(users.name, "a%"), inArray(users.level, ["middle"])))).length, 1);
const changed = await db.update(orders).set({ paid: true, total: sql`${orders.total} * 2` }).where(eq(orders.total, "10.00")).returning({ total: orders.total });
assert.deepEqual(changed, [{ total: "20.00" }]);
const prepared = db.select().from(users).where(eq(users.id, sql.placeholder("id"))).prepare("by_id");
assert.equal((await prepared.execute({ id: ann.id }))[0].name, "Ann");
await assert.rejects(db.transaction(async (tx) => {
  await tx.insert(users).values({ name: "never" });
  await tx.transaction(async (inner) => { await inner.insert(users).values({ name: "neither" }); inner.rollback(); }).catch(() => {});
  throw new Error("back");
}), /back/);
assert.equal(await db.$count(users), 2);
await assert.rejects(db.insert(users).values({ name: "Ben" }), (error) => (error.cause ?? error).code === "23505");
await db.delete(users).where(eq(users.id, ann.id));
assert.equal(await db.$count(orders), 0);
await pool.end();
