// Knex on the server that PGHOST and PGPORT name: migrations forth and back, schema builder, CRUD.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_MODULES_AT}/`);
const db = require("knex")({ client: "pg", connection: { host: process.env.PGHOST, port: process.env.PGPORT, user: "postgres", database: "postgres" }, pool: { min: 0, max: 3 } });

const steps = {
  "1_tables": {
    up: (k) => k.schema
      .createTable("users", (t) => {
        t.increments("id");
        t.string("email", 120).notNullable().unique();
        t.enu("role", ["admin", "guest"], { useNative: true, enumName: "user_role" }).defaultTo("guest");
        t.jsonb("profile");
        t.specificType("tags", "text[]");
        t.timestamps(true, true);
      })
      .createTable("posts", (t) => {
        t.uuid("id").primary().defaultTo(k.raw("gen_random_uuid()"));
        t.integer("user_id").unsigned().references("users.id").onDelete("CASCADE").index();
        t.text("title").notNullable();
        t.decimal("score", 8, 2).defaultTo(0);
        t.boolean("public").defaultTo(false);
        t.check("?? >= 0", ["score"], "score_ok");
      }),
    down: (k) => k.schema.dropTable("posts").dropTable("users").raw("drop type user_role"),
  },
  "2_change": {
    up: (k) => k.schema.alterTable("users", (t) => { t.string("name"); t.index(["name", "email"], "by_name"); t.string("email", 200).notNullable().alter(); })
      .alterTable("posts", (t) => { t.renameColumn("title", "heading"); t.date("day"); t.setNullable("heading"); t.unique(["user_id", "heading"]); }),
    down: (k) => k.schema.alterTable("posts", (t) => { t.dropUnique(["user_id", "heading"]); t.dropColumn("day"); t.renameColumn("heading", "title"); })
      .alterTable("users", (t) => { t.dropIndex(["name", "email"], "by_name"); t.dropColumn("name"); }),
  },
};
const migrationSource = { getMigrations: async () => Object.keys(steps), getMigrationName: (name) => name, getMigration: async (name) => steps[name] };

await db.migrate.latest({ migrationSource });
assert.equal((await db.migrate.list({ migrationSource }))[1].length, 0);
assert.equal(await db.schema.hasTable("users"), true);
assert.equal(await db.schema.hasColumn("posts", "heading"), true);
const info = await db("users").columnInfo();
assert.equal(info.email.maxLength, 200);
assert.equal(info.role.type, "USER-DEFINED");

const [ann, ben] = await db("users").insert([{ email: "ann@x", profile: { a: 1 }, tags: ["p", "q"] }, { email: "ben@x", role: "admin" }]).returning("*");
assert.deepEqual([ann.id, ann.role, ann.profile, ann.tags, ben.role], [1, "guest", { a: 1 }, ["p", "q"], "admin"]);
assert.ok(ann.created_at instanceof Date);
await db("posts").insert([1, 2, 3].map((n) => ({ user_id: ann.id, heading: `post ${n}`, score: n * 1.5 })));
assert.deepEqual(await db("posts").sum("score as s").first(), { s: "9.00" });
const joined = await db("users as u").leftJoin("posts as p", "p.user_id", "u.id").groupBy("u.email").orderBy("u.email").select("u.email").count("p.id as n");
assert.deepEqual(joined, [{ email: "ann@x", n: "3" }, { email: "ben@x", n: "0" }]);
assert.equal(await db("posts").where("score", ">", 2).andWhere("heading", "ilike", "POST%").increment("score", 1), 2);
assert.equal((await db("posts").whereIn("user_id", db("users").select("id").where({ role: "guest" })).orderBy("score", "desc").limit(1).offset(1))[0].heading, "post 2");
assert.deepEqual(await db("users").whereRaw("profile @> ?", [{ a: 1 }]).pluck("email"), ["ann@x"]);
await db("users").insert({ email: "ann@x", name: "Ann" }).onConflict("email").merge(["name"]);
assert.equal((await db("users").where({ email: "ann@x" }).first()).name, "Ann");
await assert.rejects(db("users").insert({ email: "ann@x" }), { code: "23505", constraint: "users_email_unique" });
await assert.rejects(db("posts").insert({ heading: "x", score: -1 }), { code: "23514", constraint: "score_ok" });
await assert.rejects(db.transaction(async (trx) => {
  await trx("users").insert({ email: "never@x" });
  await trx.transaction(async (inner) => inner("users").where({ email: "ann@x" }).forUpdate().first());
  throw new Error("back");
}), /back/);
assert.equal((await db("users").count("* as n").first()).n, "2");
const ctes = await db.with("t", db("posts").select("user_id").max("score as best").groupBy("user_id")).from("t").join("users", "users.id", "t.user_id").select("best");
assert.deepEqual(ctes, [{ best: "5.50" }]);
await db("users").where({ id: ann.id }).del();
assert.equal((await db("posts").count("* as n").first()).n, "0");
await db.migrate.rollback({ migrationSource }, true);
assert.equal(await db.schema.hasTable("users"), false);
await db.destroy();
