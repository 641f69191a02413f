// PGlite behind pglite-socket on a Unix socket: `server.mjs DATA_DIR|memory:// SOCKET_FILE`. Prints "ready" when it listens.
// `server.mjs --once DATA_DIR|memory://` answers one query in process and ends.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.env.NODE_MODULES_AT + '/')
const load = async (name) => import(pathToFileURL(require.resolve(name)).href)
const { PGlite } = await load('@electric-sql/pglite')

if (process.argv[2] === '--once') {
  const db = await PGlite.create(process.argv[3])
  const { rows } = await db.query('select 1 as one')
  console.log(rows[0].one)
  await db.close()
  process.exit(0)
}
const { PGLiteSocketServer } = await load('@electric-sql/pglite-socket')
const db = await PGlite.create(process.argv[2])
const server = new PGLiteSocketServer({ db, path: process.argv[3] })
await server.start()
console.log('ready')
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
