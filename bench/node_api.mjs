// The API of the npm packages, in process: `node_api.mjs calf|pglite SECONDS`. Prints {"create_ms", "select_us"}.
// Modules are found below NODE_MODULES_AT; the package calf is what scripts/node-package has made.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [system, seconds] = process.argv.slice(2)
const modules = process.env.NODE_MODULES_AT
const specifier = system === 'calf' ? process.env.CALF_NODE_PACKAGE : '@electric-sql/pglite'
const { PGlite } = await import(pathToFileURL(createRequire(`${modules}/`).resolve(specifier)).href)

const KEYS = 100_000
const timed = async (work) => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

let db
const creates = []
// The first one also reads the library, or compiles the WebAssembly.
for (let i = 0; i < (system === 'calf' ? 7 : 2); i++) {
  await db?.close()
  creates.push(await timed(async () => (db = await PGlite.create())))
}
creates.shift()
await db.exec(`create table bench_kv (id int primary key, payload text);
  insert into bench_kv select i, md5(i::text) from generate_series(1, ${KEYS}) i`)
await db.exec('vacuum analyze bench_kv')
let key = 1
const select = async () => {
  key = (key * 48271) % 2147483647
  const id = (key % KEYS) + 1
  const { rows } = await db.query('select payload from bench_kv where id = $1', [id])
  if (rows.length !== 1) throw new Error(`no row ${id}`)
}
for (let i = 0; i < 500; i++) await select()
let count = 0
const elapsed = await timed(async () => {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; count++) await select()
})
const median = creates.sort((a, b) => a - b)[creates.length >> 1]
console.log(JSON.stringify({ create_ms: median, select_us: (elapsed * 1000) / count }))
await db.close()
