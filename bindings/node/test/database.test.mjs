// What Calf does beyond PGlite's interface, and under load: sessions, cancelling, directories, threads, exits, leaks.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { Calf, Mutex, protocol } from 'calf'

const here = dirname(fileURLToPath(import.meta.url))
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const cancelled = { code: '57014' }

describe('sessions', { timeout: 60_000 }, () => {
  let db
  before(async () => (db = await Calf.create()))
  after(() => db.close())

  test('run concurrently, with transactions of their own', async () => {
    await db.exec('create table accounts (id int primary key, balance int); insert into accounts values (1, 100), (2, 100)')
    const [one, two] = await Promise.all([db.session(), db.session()])
    await one.exec('begin; update accounts set balance = 0 where id = 1')
    assert.deepEqual((await two.query('select balance from accounts where id = 1')).rows, [{ balance: 100 }])
    let waited = true
    const update = two.query('update accounts set balance = balance + 1 where id = 1').then(() => (waited = false))
    await pause(30)
    assert.equal(waited, true, 'the row is locked')
    await one.exec('commit')
    await update
    assert.deepEqual((await db.query('select balance from accounts where id = 1')).rows, [{ balance: 1 }])
    assert.notEqual(one.pid, two.pid)
    await Promise.all([one.close(), two.close()])
    assert.equal(one.closed, true)
    await assert.rejects(one.query('select 1'), /closed/)
  })

  test('a deadlock is found', async () => {
    await db.exec('create table locks (id int primary key); insert into locks values (1), (2)')
    const [one, two] = await Promise.all([db.session(), db.session()])
    await one.exec('begin; select * from locks where id = 1 for update')
    await two.exec('begin; select * from locks where id = 2 for update')
    const both = await Promise.allSettled([
      one.query('select * from locks where id = 2 for update'),
      two.query('select * from locks where id = 1 for update'),
    ])
    assert.deepEqual(both.map(({ reason }) => reason?.code).filter(Boolean), ['40P01'])
    await Promise.all([one.close(), two.close()])
  })

  test('sixteen of them work at once', async () => {
    await db.exec('create table work (session int, n int)')
    const sessions = await Promise.all(Array.from({ length: 16 }, () => db.session()))
    await Promise.all(
      sessions.map(async (session, index) => {
        for (let n = 0; n < 50; n++) await session.query('insert into work values ($1, $2)', [index, n])
        await session.close()
      }),
    )
    assert.deepEqual((await db.query('select count(*) as n, count(distinct session) as s from work')).rows, [{ n: 800, s: 16 }])
  })

  test('have settings, roles and parsers of their own', async () => {
    await db.exec('create role limited login')
    const session = await db.session({ username: 'limited', settings: { work_mem: '7MB' }, parsers: { 23: () => 'int' } })
    assert.deepEqual((await session.query(`select current_user as u, current_setting('work_mem') as w, 1 as i`)).rows, [
      { u: 'limited', w: '7MB', i: 'int' },
    ])
    await assert.rejects(session.query('select * from pg_authid'), { code: '42501' })
    await session.close()
    await assert.rejects(db.session({ database: 'missing' }), { code: '3D000' })
    await assert.rejects(db.session({ username: 'missing' }), { code: '28000' })
  })

  test('notifications come from one to the other, without a query', async () => {
    const session = await db.session()
    const heard = new Promise((resolve) => session.listen('news', resolve).then(() => db.query(`select pg_notify('news', 'hello')`)))
    // A listener alone does not keep the process alive; this timer does.
    const alive = setTimeout(() => {}, 5000)
    assert.equal(await heard, 'hello')
    clearTimeout(alive)
    await session.close()
  })

  test('prepared statements survive what other sessions change', async () => {
    const other = await db.session()
    await db.exec('create table shared (a int, b text); insert into shared values (1, $$x$$)')
    const look = async () => (await db.query('select * from shared where a = $1', [1])).rows
    for (let i = 0; i < 4; i++) await look()
    await other.exec('alter table shared add c int default 5')
    assert.deepEqual(await look(), [{ a: 1, b: 'x', c: 5 }])
    await other.exec('alter table shared alter a type text')
    assert.deepEqual((await db.query('select * from shared where a = $1', ['1'])).rows, [{ a: '1', b: 'x', c: 5 }])
    for (let i = 0; i < 4; i++) await look()
    await other.exec('alter table shared drop b')
    await db.transaction(async (tx) => {
      assert.deepEqual((await tx.query('select * from shared where a = $1', ['1'])).rows, [{ a: '1', c: 5 }])
    })
    await other.close()
  })

  test('no more statements are prepared than are kept', async () => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 400; i++) await db.query(`select ${i} as a`)
    }
    const { rows } = await db.query('select count(*) as n from pg_prepared_statements')
    assert.ok(rows[0].n <= 257, `${rows[0].n} statements`)
  })
})

/** Waits until this backend is at work on a statement. */
async function untilActive(observer, pid) {
  const sql = `select 1 from pg_stat_activity where pid = $1 and state = 'active'`
  while ((await observer.query(sql, [pid])).rows.length === 0) await pause(10)
}

describe('a query that runs for long', { timeout: 60_000 }, () => {
  let db
  before(async () => (db = await Calf.create()))
  after(() => db.close())

  test('does not block the event loop', async () => {
    let ticks = 0
    const timer = setInterval(() => ticks++, 10)
    await db.query('select pg_sleep(0.3)')
    assert.ok(ticks >= 5, `${ticks} ticks while it slept`)
    ticks = 0
    await db.query('select count(*) from generate_series(1, 3000000)')
    clearInterval(timer)
    assert.ok(ticks >= 2, `${ticks} ticks while it counted`)
  })

  test('many short ones do not either', async () => {
    let ticks = 0
    const timer = setInterval(() => ticks++, 10)
    const end = performance.now() + 500
    while (performance.now() < end) await db.query('select 1')
    clearInterval(timer)
    assert.ok(ticks >= 5, `${ticks} ticks`)
  })

  test('ends when its signal is aborted, and the session goes on', async () => {
    const controller = new AbortController()
    const query = db.query('select pg_sleep(30)', [], { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await assert.rejects(query, cancelled)
    assert.deepEqual((await db.query('select 1 as a')).rows, [{ a: 1 }])
    await assert.rejects(db.query('select 1', [], { signal: AbortSignal.abort(new Error('before')) }), /before/)
  })

  test('ends by cancel(), by statement_timeout, and by another session', async () => {
    const session = await db.session()
    const [{ pid }] = (await db.query('select pg_backend_pid() as pid')).rows
    const sleeping = db.exec('select pg_sleep(100)')
    await untilActive(session, pid)
    db.cancel()
    await assert.rejects(sleeping, cancelled)
    db.cancel()
    assert.deepEqual((await db.query('select 1 as a')).rows, [{ a: 1 }])
    await assert.rejects(db.exec(`begin; set local statement_timeout = '50ms'; select pg_sleep(100)`), cancelled)
    await db.exec('rollback')
    const query = session.query('select pg_sleep(100)')
    await untilActive(db, session.pid)
    await db.query('select pg_terminate_backend($1)', [session.pid])
    await assert.rejects(query, { code: '57P01' })
    await assert.rejects(session.query('select 1'), /closed/)
    const idle = await db.session()
    await db.query('select pg_terminate_backend($1)', [idle.pid])
    for (let i = 0; i < 1000 && !idle.closed; i++) await pause(10)
    await assert.rejects(idle.query('select 1'), /closed/)
  })
})

describe('much data', { timeout: 60_000 }, () => {
  let db
  before(async () => (db = await Calf.create()))
  after(() => db.close())

  test('long values go both ways', async () => {
    const bytes = Buffer.alloc(20 << 20, 'calf')
    const text = 'ü'.repeat(5 << 20)
    const { rows } = await db.query('select $1::bytea as b, $2::text as t, length($2::text) as n', [new Uint8Array(bytes), text])
    assert.ok(Buffer.from(rows[0].b).equals(bytes))
    assert.ok(rows[0].t === text)
    assert.equal(rows[0].n, text.length)
  })

  test('many rows, and a COPY of them', async () => {
    const { rows } = await db.query(`select i, 'row ' || i as t from generate_series(1, 200000) i`)
    assert.deepEqual([rows.length, rows.at(-1)], [200000, { i: 200000, t: 'row 200000' }])
    await db.exec('create table bulk (i int, t text)')
    const csv = rows.map(({ i, t }) => `${i},${t}\n`).join('')
    const result = await db.query(`COPY bulk FROM '/dev/blob' WITH (FORMAT csv)`, [], { blob: new Blob([csv]) })
    assert.equal(result.affectedRows, 200000)
    const { blob } = await db.query('COPY bulk TO STDOUT WITH (FORMAT csv)')
    assert.equal(await blob.text(), csv)
  })

  test('COPY without a blob fails, and the session goes on', async () => {
    await db.exec('create table nothing (i int)')
    await assert.rejects(db.query(`COPY nothing FROM '/dev/blob'`), { code: '57014' })
    await assert.rejects(db.exec('COPY nothing FROM STDIN'), { code: '57014' })
    await assert.rejects(db.query(`COPY nothing FROM '/dev/blob'`, [], { blob: new Blob(['x\n']) }), { code: '22P02' })
    const quoted = await db.query(`select '/dev/blob' as a, $$COPY nothing TO '/dev/blob'$$ as b -- COPY x TO '/dev/blob'`)
    assert.deepEqual(quoted.rows, [{ a: '/dev/blob', b: `COPY nothing TO '/dev/blob'` }])
  })

  test('a parser that throws fails its query only', async () => {
    const options = { parsers: { 23: () => assert.fail('mine') } }
    await assert.rejects(db.query('select i from generate_series(1, 1000) i', [], options), /mine/)
    assert.deepEqual((await db.query('select 1 as a')).rows, [{ a: 1 }])
    await assert.rejects(db.query('select \0'), /zero byte/)
    assert.deepEqual((await db.query('select 2 as a')).rows, [{ a: 2 }])
  })
})

describe('the protocol by hand', { timeout: 60_000 }, () => {
  test('a client logs in, copies, and fails without Sync', async () => {
    const db = await Calf.create()
    const { serialize } = protocol
    const names = async (...messages) => (await db.execProtocol(Buffer.concat(messages), { throwOnError: false })).messages.map(({ name }) => name)
    assert.deepEqual([...(await db.execProtocolRaw(serialize.requestSsl()))], ['N'.charCodeAt(0)])
    const login = await names(serialize.startup({ user: 'postgres', database: 'postgres' }))
    assert.deepEqual([login[0], login.at(-1)], ['authenticationOk', 'readyForQuery'])
    assert.deepEqual(await names(serialize.query('create table c (i int); copy c from stdin')), ['commandComplete', 'copyInResponse'])
    assert.deepEqual(await names(serialize.copyData(Buffer.from('1\n2\n'))), [])
    assert.deepEqual(await names(serialize.copyDone()), ['commandComplete', 'readyForQuery'])
    assert.deepEqual(await names(serialize.parse({ text: 'copy c from stdin' }), serialize.bind(), serialize.execute()), [
      'parseComplete',
      'bindComplete',
      'copyInResponse',
    ])
    assert.deepEqual(await names(serialize.copyFail('no')), ['error'])
    assert.deepEqual(await names(serialize.parse({ text: 'select 1' })), [], 'dropped until Sync')
    assert.deepEqual(await names(serialize.sync()), ['readyForQuery'])
    assert.deepEqual(await names(serialize.query('select 1'), serialize.query('select 2')), [
      ...['rowDescription', 'dataRow', 'commandComplete', 'readyForQuery'],
      ...['rowDescription', 'dataRow', 'commandComplete', 'readyForQuery'],
    ])
    await names(serialize.query('copy c from stdin'))
    await names(serialize.copyData(Buffer.from('no number\n')))
    await pause(50)
    assert.deepEqual(await names(serialize.copyDone()), ['error', 'readyForQuery'], 'it failed before its end')
    assert.equal((await db.query('select count(*) as n from c')).rows[0].n, 2)
    assert.equal((await db.execProtocolRaw(serialize.end())).length, 0)
    await assert.rejects(db.execProtocolRaw(Uint8Array.of(0x51, 0, 0, 0, 99, 1)), /wrong length/)
    const chunks = []
    await db.execProtocolRawStream(serialize.query('select count(*) from c'), { onRawData: (chunk) => chunks.push(chunk) })
    assert.ok(Buffer.concat(chunks).includes('SELECT 1'))
    await db.close()
  })
})

describe('data directories', { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'calf-test-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('keep their data, by path and by file://', async () => {
    const path = join(folder, 'kept')
    const first = await Calf.create(path, { relaxedDurability: true })
    await first.exec(`create type mood as enum ('sad', 'happy'); create table kept (m mood[]); insert into kept values ('{happy}')`)
    await first.close()
    const second = await Calf.create(`file://${path}`)
    assert.deepEqual((await second.query('select m from kept')).rows, [{ m: ['happy'] }], 'array types are known at once')
    await assert.rejects(Calf.create(path), { code: /^(55006|5\w{4})$/ }, 'it is in use')
    await second.close()
  })

  test('that cannot be opened say why', async () => {
    await assert.rejects(Calf.create(fileURLToPath(import.meta.url)))
    await assert.rejects(Calf.create('/proc/nothing/here'))
    await assert.rejects(Calf.create('idb://x'), /browsers/)
    await assert.rejects(Calf.create('file://'), /valid path/)
    await assert.rejects(Calf.create({ settings: { shared_buffers: 'nonsense' } }))
    await assert.rejects(Calf.create({ postgresqlconf: 'what is this' }), /not understood/)
    await assert.rejects(Calf.create({ loadDataDir: new Blob(['no archive at all'.repeat(100)]) }), /tar archive/)
  })

  test('are not made from archives that lead out of them, or are cut off', async () => {
    const block = (name, type, size = 0) => {
      const header = Buffer.alloc(512)
      header.write(name, 0)
      header.write(size.toString(8).padStart(11, '0'), 124)
      header.write(type, 156)
      header.write('ustar', 257)
      header.fill(' ', 148, 156)
      header.write(header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0') + '\0', 148)
      return header
    }
    const refused = (blocks, message) => assert.rejects(Calf.create({ loadDataDir: new Blob(blocks) }), message)
    await refused([block('../outside', '0')], /broken/)
    await refused([block('base/../../outside', '5')], /broken/)
    await refused([block('link', '2')], /neither file nor directory/)
    await refused([block('PG_VERSION', '0', 5000), Buffer.alloc(512)], /broken/)
    await refused([block('base', '5'), Buffer.alloc(1024)], /holds no cluster/)
    await refused([Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3])])
    assert.equal(existsSync(join(tmpdir(), 'outside')), false)
  })

  test('take settings from every place that PGlite has for them', async () => {
    const db = await Calf.create({
      postgresqlconf: ['# comment', `work_mem = '11MB' # more`, 'max_connections 33'],
      startParams: ['--single', '-F', '-c', 'random_page_cost=1.5'],
      settings: { statement_timeout: 0, jit: false, application_name: 'mine' },
      username: 'somebody',
      database: 'elsewhere',
    })
    const { rows } = await db.query(`select current_user as u, current_database() as d, current_setting('work_mem') as w,
      current_setting('max_connections') as c, current_setting('random_page_cost') as r, current_setting('fsync') as f`)
    assert.deepEqual(rows, [{ u: 'somebody', d: 'elsewhere', w: '11MB', c: '33', r: '1.5', f: 'off' }])
    await db.close()
  })

  test('are made from dumps, whole or not at all', async () => {
    const db = await Calf.create()
    await db.exec('create table dumped as select 5 as a')
    const loadDataDir = await db.dumpDataDir()
    await db.close()
    const path = join(folder, 'deep', 'loaded')
    await assert.rejects(Calf.create(path, { loadDataDir: new Blob([Buffer.alloc(1024)]) }), /holds no cluster/)
    assert.deepEqual(readdirSync(join(folder, 'deep')), [])
    const loaded = await Calf.create(path, { loadDataDir })
    assert.deepEqual((await loaded.query('select a from dumped')).rows, [{ a: 5 }])
    await loaded.close()
    await assert.rejects(Calf.create(path, { loadDataDir }), /already exists/)
    const again = await Calf.create(path)
    assert.deepEqual((await again.query('select a from dumped')).rows, [{ a: 5 }])
    await again.close()
  })

  test('dumps and clones are copies, even while others write', async () => {
    const db = await Calf.create()
    await db.exec(`create table numbers (n int primary key); insert into numbers select generate_series(1, 10000)`)
    const writer = await db.session()
    let writing = true
    const written = (async () => {
      for (let n = 10001; writing; n++) await writer.query('insert into numbers values ($1)', [n])
    })()
    const clone = await db.clone()
    writing = false
    await written
    const { rows } = await clone.query('select count(*) as n, max(n) as m from numbers')
    assert.ok(rows[0].n >= 10000 && rows[0].n === rows[0].m, JSON.stringify(rows))
    await clone.exec('delete from numbers')
    assert.ok((await db.query('select count(*) as n from numbers')).rows[0].n >= 10000)
    await Promise.all([clone.close(), db.close()])
  })

  test('a snapshot is the whole database in a file', async () => {
    const file = join(folder, 'golden.calf')
    const db = await Calf.create()
    await db.exec(`create type mood as enum ('glad'); create table kept (m mood[]); insert into kept values ('{glad}')`)
    await Promise.all([db.exec('insert into kept values (null)'), db.saveSnapshot(file)])
    await assert.rejects(db.saveSnapshot(join(folder, 'no', 'such', 'file')), { code: '42704' })
    await db.close()
    for (const dataDir of [undefined, join(folder, 'from-snapshot')]) {
      const copy = await Calf.create({ dataDir, snapshot: file })
      assert.deepEqual((await copy.query('select m from kept')).rows, [{ m: ['glad'] }, { m: null }])
      await copy.close()
    }
    await assert.rejects(Calf.create({ snapshot: join(folder, 'nothing') }), /nothing/)
  })

  test('temporary ones do not outlive their database', async () => {
    const program = `import { Calf } from 'calf'
      const db = await Calf.create(); const clone = await db.clone(); await clone.connectionString(); await db.connectionString()
      if (process.argv[1] === 'close') await Promise.all([clone.close(), db.close()])`
    const TMPDIR = join(folder, 'tmp')
    for (const how of ['close', 'exit']) {
      mkdirSync(TMPDIR, { recursive: true })
      assert.deepEqual(await run(program, { args: [how], env: { TMPDIR } }), { code: 0, signal: null, output: '' })
      assert.deepEqual(readdirSync(TMPDIR), [])
    }
  })
})

describe('connection strings', { timeout: 60_000 }, () => {
  test('let drivers in, by a private socket and by TCP', async () => {
    const { default: pg } = await import('pg')
    const db = await Calf.create({ password: undefined })
    await db.exec(`create table seen (v text); insert into seen values ('by all')`)
    const url = await db.connectionString()
    assert.equal(await db.connectionString(), url)
    for (const connectionString of [url, await db.connectionString({ host: '127.0.0.1' })]) {
      const client = new pg.Client({ connectionString })
      await client.connect()
      assert.deepEqual((await client.query('select v from seen')).rows, [{ v: 'by all' }])
      await client.end()
    }
    await db.close()
  })

  test('ask for the password if there is one', async () => {
    const { default: pg } = await import('pg')
    const db = await Calf.create({ password: 'secret' })
    const url = new URL(await db.connectionString({ host: '127.0.0.1' }))
    const connect = async (password) => {
      const client = new pg.Client({ host: url.hostname, port: +url.port, user: 'postgres', database: 'postgres', password })
      await client.connect()
      await client.end()
    }
    await connect('secret')
    await assert.rejects(connect('wrong'), { code: '28P01' })
    await db.close()
  })
})

describe('many databases', { timeout: 120_000 }, () => {
  test('opening and closing leaks neither memory, descriptors nor threads', async () => {
    const usage = () => ({
      descriptors: readdirSync('/proc/self/fd').length,
      threads: readdirSync('/proc/self/task').length,
      rss: process.memoryUsage.rss(),
    })
    const round = async () => {
      const db = await Calf.create()
      const session = await db.session()
      await Promise.all([db.query('select 1'), session.query('select 2')])
      await db.close()
    }
    for (let i = 0; i < 10; i++) await round()
    const before = usage()
    for (let i = 0; i < 60; i++) await round()
    const now = usage()
    assert.ok(now.descriptors <= before.descriptors + 2, JSON.stringify([before, now]))
    assert.ok(now.threads <= before.threads + 2, JSON.stringify([before, now]))
    assert.ok(now.rss < before.rss + (40 << 20), JSON.stringify([before, now]))
  })

  test('run beside each other', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => Calf.create()))
    await Promise.all(all.map((db, index) => db.exec(`create table mine (i int); insert into mine values (${index})`)))
    const rows = await Promise.all(all.map(async (db) => (await db.query('select i from mine')).rows[0].i))
    assert.deepEqual(rows, [0, 1, 2, 3, 4, 5, 6, 7])
    await Promise.all(all.map((db) => db.close()))
  })

  test('await using closes', async () => {
    const db = await Calf.create()
    await db[Symbol.asyncDispose]()
    assert.equal(db.closed, true)
  })
})

/** Runs a program; returns how it ended and what it printed. */
async function run(program, { args = [], env = {} } = {}) {
  const options = { cwd: here, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } }
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, ...args], options)
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code, signal] = await once(child, 'close')
  clearTimeout(late)
  return { code, signal, output }
}

describe('processes and threads', { timeout: 120_000 }, () => {
  const open = `import { Calf } from 'calf'; const db = await Calf.create(process.argv[1]); await db.exec('create table if not exists t (i int); insert into t values (1)');`

  test('a process ends by itself, without close', async () => {
    assert.deepEqual(await run(`${open} console.log('done')`), { code: 0, signal: null, output: 'done\n' })
  })

  test('process.exit with a query running, a listener and a session open', async () => {
    const program = `${open} const s = await db.session(); await db.listen('x', () => {}); await db.connectionString();
      void s.query('select pg_sleep(30)'); setTimeout(() => process.exit(7), 50)`
    assert.deepEqual(await run(program), { code: 7, signal: null, output: '' })
  })

  test('process.exit while a database opens, and while it closes', async () => {
    const opening = `import { Calf } from 'calf'; void Calf.create(); setTimeout(() => process.exit(3), 1)`
    assert.deepEqual(await run(opening), { code: 3, signal: null, output: '' })
    assert.deepEqual(await run(`${open} void db.close(); setImmediate(() => process.exit(4))`), { code: 4, signal: null, output: '' })
  })

  test('an uncaught error ends it as usual', async () => {
    const { code, output } = await run(`${open} throw new Error('mine')`)
    assert.equal(code, 1)
    assert.match(output, /mine/)
  })

  test('what was committed is there after an exit without close, and after a kill', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'calf-test-'))
    await run(open, { args: [folder] })
    await run(`${open} process.exit(0)`, { args: [folder] })
    assert.equal((await run(`${open} process.kill(process.pid, 'SIGKILL')`, { args: [folder] })).signal, 'SIGKILL')
    const db = await Calf.create(folder)
    assert.deepEqual((await db.query('select count(*) as n from t')).rows, [{ n: 3 }])
    await db.close()
    rmSync(folder, { recursive: true })
  })

  test('a query that is waited for keeps the process alive', async () => {
    assert.equal((await run(`${open} db.query('select pg_sleep(0.2)').then(() => console.log('slept'))`)).output, 'slept\n')
  })

  test('worker threads have databases of their own, and may be terminated', async () => {
    const program = `import { Calf } from 'calf'; import { parentPort, workerData } from 'node:worker_threads'
      const db = await Calf.create(); await db.exec('create table t (i int); insert into t values (' + workerData + ')')
      parentPort.postMessage((await db.query('select i from t')).rows[0].i)
      if (workerData % 2) await db.close(); else void db.query('select pg_sleep(60)')`
    // A module of a data: URL cannot import packages by name.
    const source = program.replace(`'calf'`, JSON.stringify(import.meta.resolve('calf')))
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`)
    const workers = [0, 1, 2, 3].map((workerData) => new Worker(url, { workerData }))
    assert.deepEqual(await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0])), [0, 1, 2, 3])
    await Promise.all(workers.map((worker) => worker.terminate()))
    const db = await Calf.create()
    await db.query('select 1')
    await db.close()
  })

  test('log lines go where they are wanted', async () => {
    const lines = []
    const db = await Calf.create({ onStderr: (line) => (lines.push(line), false) })
    await db.query('select 1/0').catch(() => {})
    await pause(50)
    await db.close()
    assert.ok(lines.some((line) => line.includes('division by zero')), lines.join('\n'))
  })
})

test('the list of array types is the one of a new database', { timeout: 20_000 }, async () => {
  const { arrayTypes } = await import(new URL('array_types.js', import.meta.resolve('calf')))
  const db = await Calf.create()
  const { rows } = await db.query(
    `select distinct element.oid, element.typarray from pg_type array_type join pg_type element on element.oid = array_type.typelem
     where array_type.typcategory = 'A' and element.typarray <> 0 order by 1`,
    [],
    { rowMode: 'array' },
  )
  await db.close()
  assert.deepEqual(arrayTypes, rows, `src/array_types.ts is old: ${rows.map((row) => row.join(':')).join(' ')}`)
})

test('the package carries its library', () => {
  const folder = dirname(fileURLToPath(import.meta.resolve('calf/package.json')))
  assert.ok(existsSync(join(folder, 'native/linux-x64/libcalf.so.0')))
})

test('a Mutex lets them in one after the other, and can be cancelled', async () => {
  const mutex = new Mutex()
  const order = []
  const work = (name) => mutex.runExclusive(async () => {
    order.push(`${name} begins`)
    await pause(1)
    order.push(`${name} ends`)
  })
  await Promise.all([work('a'), work('b'), work('c').catch(() => {})])
  assert.deepEqual(order, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  const release = await mutex.acquire()
  const waiting = [mutex.acquire(), mutex.acquire()].map((promise) => promise.catch((error) => error.message))
  mutex.cancel()
  assert.deepEqual(await Promise.all(waiting), ['request for lock canceled', 'request for lock canceled'])
  assert.equal(mutex.isLocked(), true)
  release()
  release()
  assert.equal(mutex.isLocked(), false)
})
