// Test databases of `calf serve --pool`: a template with the schema, made once by whichever process is
// first, and a database of its own for each test.
import { createHash } from 'node:crypto'
import pg from 'pg'

const schema = 'create table users (id serial primary key, name text unique not null)'
const api = `${process.env.INTEGRESQL_CLIENT_BASE_URL}/v1/templates`
const hash = createHash('sha256').update(schema).digest('hex')

async function call(method, path = '', body) {
  const response = await fetch(api + path, { method, body: body && JSON.stringify(body) })
  if (response.status === 204) return null
  const answer = await response.json()
  if (response.ok || response.status === 423) return answer
  throw new Error(`${method} ${path}: ${response.status} ${answer.message}`)
}

async function connect({ database: { config } }) {
  const { host, port, username: user, password, database } = config
  const client = new pg.Client({ host, port, user, password, database })
  await client.connect()
  return client
}

/** Once in each process, before its first test. */
export async function setUp() {
  const template = await call('POST', '', { hash })
  if (!template.database) return // 423: somebody else is at it, or has done it
  const client = await connect(template)
  await client.query(schema)
  await client.end()
  await call('PUT', `/${hash}`)
}

/** Runs `test` with a client in a database of its own. */
export async function withDatabase(test) {
  const client = await connect(await call('GET', `/${hash}/tests`))
  try {
    await test(client)
  } finally {
    await client.end()
  }
}
