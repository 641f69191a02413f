// The same script on PGlite and on Calf: every step has to give the same.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as calf from 'calf'
import { live as calfLive } from 'calf/live'
import * as calfTemplate from 'calf/template'
import * as pglite from '@electric-sql/pglite'
import { live as pgliteLive } from '@electric-sql/pglite/live'
import * as pgliteTemplate from '@electric-sql/pglite/template'

const errorFields = ['name', 'severity', 'code', 'message', 'detail', 'hint', 'position', 'where', 'schema', 'table', 'column']
  .concat(['dataType', 'constraint', 'internalQuery', 'internalPosition', 'routine', 'query', 'params', 'queryOptions'])

/** What a failure looks like from outside. */
async function failure(promise) {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof Error)
    return Object.fromEntries(errorFields.map((name) => [name, error[name]]))
  }
  return assert.fail('it did not fail')
}

const next = (subscribe) => new Promise((resolve) => subscribe(resolve))
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Each step gets a database of its package, the package, and its other modules. */
const steps = {
  'defaults of the session': async (db) =>
    (await db.query(`select current_user, current_database(), current_setting('server_version') as version,
      current_setting('client_encoding') as encoding, current_setting('DateStyle') as dates,
      current_setting('standard_conforming_strings') as strings, current_setting('bytea_output') as bytea,
      current_setting('IntervalStyle') as intervals, extract(timezone from now()) as offset,
      (select rolsuper from pg_roles where rolname = current_user) as super`)),

  'exec: several statements, rows counted up': async (db) => [
    await db.exec(`create table test (id serial primary key, name text);`),
    await db.exec(`insert into test (name) values ('test'); update test set name = 'test2'; select * from test;`),
    await db.exec(''),
    await db.exec('-- nothing'),
    await db.exec('select 1 as a; select 2 as b, 3 as b'),
  ],

  'query: results of commands': async (db) => [
    await db.query('create table commands (id int primary key, v text)'),
    await db.query(`insert into commands select i, 'v' || i from generate_series(1, 5) i`),
    await db.query(`insert into commands values (6, null) returning *, 'x' as x`),
    await db.query('update commands set v = $1 where id > $2', ['new', 4]),
    await db.query('delete from commands where id = 1'),
    await db.query(`merge into commands c using (values (2), (9)) s(id) on c.id = s.id
      when matched then delete when not matched then insert values (s.id, 'merged')`),
    await db.query('select * from commands order by id'),
    await db.query('select * from commands where false'),
    await db.query(''),
    await db.query('truncate commands'),
    await db.query('select'),
    await db.query('values (1), (2)'),
  ],

  'rows as arrays, and columns of the same name': async (db) => [
    await db.query('select 1 as a, 2 as a, null as b', [], { rowMode: 'array' }),
    await db.query('select 1 as a, 2 as a, null as b'),
    await db.exec('select 1 as a, 2 as a', { rowMode: 'array' }),
    await db.query(`select 1 as "__proto__", 2 as "constructor", 3 as "toString"`),
  ],

  'values of all types that have a parser': async (db) =>
    (await db.query(`select true as bool, false as bool2, 1::int2 as int2, -2::int4 as int4, 9007199254740991 as int8,
      9007199254740992 as big, -9223372036854775808 as least, 4294967295::oid as oid, 1.5::float4 as float4, 1e300::float8 as float8,
      'NaN'::float8 as nan, '-Infinity'::float8 as infinity, 1.10::numeric as numeric, 'text ☃ 🙂' as text, 'v'::varchar(5) as varchar,
      'c'::char(5) as char, 'n'::name as name, '"c"'::"char" as one, '{"a": [1, null, "x"]}'::json as json, '[]'::jsonb as jsonb,
      'null'::jsonb as json_null, '2021-02-03'::date as date, '2021-02-03 04:05:06.789'::timestamp as timestamp,
      '2021-02-03 04:05:06.789+02'::timestamptz as timestamptz, '04:05'::time as time, '1 day 2 hours'::interval as interval,
      '\\x00ff10'::bytea as bytea, ''::bytea as empty, gen_random_uuid() is not null as uuid, '1.2.3.4'::inet as inet,
      '(1,2)'::point as point, 'a & b'::tsquery as tsquery, int4range(1, 5) as range, null::int as nothing, ''::text as empty_text,
      row(1, 'x') as record, xml '<a/>' as xml, 12.5::money as money`)),

  'arrays': async (db) =>
    (await db.query(`select '{1,2,NULL}'::int[] as ints, '{}'::int[] as empty, '{{1,2},{3,4}}'::float8[] as nested,
      array['a', 'b c', 'd"e', 'f\\g', 'NULL', '', null, '{x}', 'a,b'] as texts, array[true, false] as bools,
      array['{"a": 1}'::jsonb, '[1,2]'] as jsons, array['2021-01-01'::date] as dates, array['\\x01'::bytea] as byteas,
      array[9007199254740993, 1] as int8s, array[1.5, null]::numeric[] as numerics, '{{{1},{2}}}'::int[] as deep,
      array[box '((1,2),(3,4))', box '((5,6),(7,8))'] as boxes, array['a', 'b']::varchar[] as varchars`)),

  'parameters of all types': async (db) => {
    await db.query(`create table parameters (id serial primary key, text text, number int, float float, bigint bigint, bool bool,
      date date, timestamp timestamp, timestamptz timestamptz, json jsonb, plain json, blob bytea, texts text[], numbers int[],
      nested float[][], bools bool[], jsons jsonb[], n numeric, nothing int, undefined int, uuid uuid)`)
    const values = ['test ☃', 1, 1.5, 9223372036854775807n, true, new Date('2021-01-01'), '2021-01-01 12:00:00', new Date(0)]
    values.push({ test: ['x', 1n] }, [1, 'a'], Uint8Array.from([0, 1, 255]), ['a', 'b"c', 'd,e', 'f\\g', null], [1, 2, 3])
    values.push([[1.1, 2.2], [3.3, 4.4]], [true, false], [{ a: 1 }, 'x'], 100.25, null, undefined, '00000000-0000-0000-0000-000000000001')
    // A string is JSON text already: '"x"'.
    values[15][1] = '"x"'
    const places = values.map((_, index) => `$${index + 1}`).join(', ')
    return [
      await db.query(
        `insert into parameters (text, number, float, bigint, bool, date, timestamp, timestamptz, json, plain, blob, texts, numbers,
          nested, bools, jsons, n, nothing, undefined, uuid) values (${places}) returning *`,
        values,
      ),
      await db.query('select * from parameters where id = any($1)', [[0, 1, 2]]),
      await db.query('select $1::bool as a, $2::bool as b, $3::bool as c', [1, 'off', ' YES ']),
      await db.query('select $1 as a, $1 || $2 as b', ['x', 'y']),
      await db.query('select $1::text as a', [new Date(0)]),
      await db.query('select $1::timestamptz as a', [1e12]),
      await db.query('select $1::int[] as a, $2::text[] as b', ['{1,2}', []]),
      await db.query('select $1::jsonb as a, $2::jsonb as b', ['{"text": true}', '3']),
      await db.query('select $1::text as a', ['']),
      await db.query('select pg_typeof($1)::text as a, $1 as b', [5], { paramTypes: [20] }),
    ]
  },

  'parsers and serializers of one query': async (db, { types }) => [
    await db.query('select 1 as a, $1 as b', ['x'], { parsers: { [types.INT4]: (text) => `int ${text}`, [types.TEXT]: (text) => [text] } }),
    await db.query('select $1::int as a', [5], { serializers: { [types.INT4]: (value) => String(value * 2) } }),
    await db.query(`select '{1,2}'::int[] as a`, [], { parsers: { [types.INT4]: (text) => text + '!' } }),
    await db.query('select null::int as a', [], { parsers: { [types.INT4]: () => 'never' } }),
  ],

  'parsers and serializers of the instance': async (_db, { PGlite }) => {
    const own = await PGlite.create({ serializers: { 1700: (x) => x.toString() }, parsers: { 1700: (x) => BigInt(x), 23: (x) => ({ x }) } })
    const results = [await own.query('select $1::numeric as a, 5 as b', [100n]), await own.query(`select '{1,2}'::int[] as a`)]
    await own.close()
    return results
  },

  'errors': async (db) => {
    await db.exec(`create table parent (id int primary key); create table child (id int primary key, parent int not null references parent,
      name text unique, age int constraint adult check (age >= 18)); insert into parent values (1); insert into child values (1, 1, 'a', 20)`)
    return [
      await failure(db.query('select * from missing')),
      await failure(db.query('select * form x')),
      await failure(db.query('select $1::int', ['abc'])),
      await failure(db.query('insert into child values (1, 1, $1, $2)', ['b', 20])),
      await failure(db.query('insert into child values (2, 7, $1, $2)', ['b', 20])),
      await failure(db.query('insert into child values (2, 1, $1, $2)', ['b', 17])),
      await failure(db.query('insert into child values (2, null, $1, $2)', ['b', 18])),
      await failure(db.query('select 1/$1', [0])),
      await failure(db.exec('select 1; select 1/0; select 2')),
      await failure(db.query('select $1, $2', [1])),
      await failure(db.query('select 1', [1])),
      await failure(db.query('select 1; select 2')),
      await failure(db.query('select $1::bool', ['nonsense'])),
      await failure(db.exec(`do $$ begin raise exception 'mine' using errcode = 'MY001', hint = 'h', detail = 'd'; end $$`)),
      await failure(db.describeQuery('select * from missing')),
      await failure(db.query(`select '{"a"'::json`)),
      await db.query('select 1 as still_alive'),
    ]
  },

  'notices': async (db) => {
    const seen = []
    const onNotice = ({ message, severity, code, detail, hint, name }) => seen.push({ message, severity, code, detail, hint, name })
    const raise = `do $$ begin raise notice 'one'; raise warning 'two' using hint = 'h'; end $$`
    await db.exec(raise, { onNotice })
    await db.query(raise, [], { onNotice })
    await db.query('drop table if exists never_there', [], { onNotice })
    await db.exec(raise)
    return seen
  },

  'sql templates': async (db, _package, { identifier, raw, sql, query }) => {
    const table = identifier`templates`
    const filter = sql`where id > ${1} and name <> ${'x'}`
    return [
      await db.sql`create table ${table} (id serial primary key, name text)`,
      await db.sql`insert into ${table} (name) values (${'a'}), (${'b'}) returning *`,
      await db.sql`select * from ${table} ${filter} order by ${raw`id desc`}`,
      await db.sql`select ${1}::int + ${2}::int as sum`,
      query`select ${1} ${sql`and ${2} or ${raw`now()`} ${sql`(${3})`}`} end`,
      query`plain`,
    ]
  },

  'transactions': async (db) => {
    await db.exec('create table tx (id int primary key)')
    const seen = []
    seen.push(await db.transaction(async (tx) => {
      await tx.query('insert into tx values ($1)', [1])
      seen.push(typeof tx.transaction, tx.closed, (await tx.sql`select count(*) as n from tx where id > ${0}`).rows)
      return 'value'
    }))
    let kept
    await db.transaction(async (tx) => {
      kept = tx
      await tx.exec('insert into tx values (2)')
      await tx.rollback()
      seen.push(tx.closed)
      seen.push(await failure(tx.query('select 1')), await failure(tx.rollback()), await failure(tx.exec('select 1')))
    })
    seen.push(await failure(kept.query('select 1')))
    seen.push(await failure(db.transaction(async (tx) => {
      await tx.query('insert into tx values (3)')
      throw new Error('mine')
    })))
    seen.push(await failure(db.transaction(async (tx) => {
      await tx.query('insert into tx values (4)')
      await tx.query('insert into tx values (4)')
    })))
    // A failure that is caught leaves the transaction failed: COMMIT rolls back, silently.
    seen.push(await db.transaction(async (tx) => {
      await tx.query('insert into tx values (5)')
      await tx.query('select 1/0').catch(() => {})
      seen.push(await failure(tx.query('select 1')))
      return 'done'
    }))
    seen.push((await db.query('select * from tx order by id')).rows, db.isInTransaction())
    return seen
  },

  'calls wait for a transaction': async (db) => {
    await db.exec('create table waiting (id serial, v text)')
    const order = []
    const transaction = db.transaction(async (tx) => {
      await pause(20)
      await tx.query(`insert into waiting (v) values ('in')`)
      order.push('in')
    })
    const query = db.query(`insert into waiting (v) values ('after')`).then(() => order.push('after'))
    await Promise.all([transaction, query])
    return [order, (await db.query('select v from waiting order by id')).rows]
  },

  'a deferred constraint fails the commit': async (db) => {
    await db.exec('create table deferred (id int primary key, other int references deferred deferrable initially deferred)')
    const error = await failure(db.transaction(async (tx) => void (await tx.query('insert into deferred values (1, 2)'))))
    return [error, (await db.query('select * from deferred')).rows]
  },

  'session state lives from call to call': async (db) => [
    await db.exec(`create temp table temporary (a int); insert into temporary values (1); set work_mem = '5MB'; prepare p(int) as select $1 + 1 as a`),
    await db.query('select * from temporary'),
    await db.query('show work_mem'),
    await db.query('execute p(4)'),
    await db.exec('begin; insert into temporary values (2)'),
    await db.query('select count(*) from temporary'),
    await db.exec('rollback'),
    await db.query('select count(*) from temporary'),
  ],

  'a statement that is run again sees what has changed': async (db) => {
    await db.exec('create table changing (a int); insert into changing values (1)')
    const results = []
    const look = async () => results.push(await db.query('select * from changing where a = $1', [1]), await db.query('select * from changing'))
    for (let i = 0; i < 3; i++) await look()
    await db.exec('alter table changing add b text default $$x$$')
    for (let i = 0; i < 3; i++) await look()
    // DDL in disguise.
    await db.query(`select 1 from (select set_config('search_path', 'other,public', false)) x`)
    await db.exec(`do $$ begin alter table changing alter a type bigint; end $$`)
    for (let i = 0; i < 3; i++) await look()
    await db.exec('discard all')
    for (let i = 0; i < 3; i++) await look()
    await db.exec('drop table changing')
    results.push(await failure(db.query('select * from changing')))
    return results
  },

  'describeQuery': async (db) => {
    const { queryParams, resultFields } = await db.describeQuery('select $1::int as a, $2::text as b, now() as c, $3::jsonb as d')
    const strip = (list) => list.map(({ name, dataTypeID }) => ({ name, dataTypeID }))
    return [strip(queryParams), strip(resultFields), queryParams[2].serializer({ x: 1 }), resultFields[0].parser('5')]
  },

  'refreshArrayTypes': async (db) => {
    await db.exec(`create type mood as enum ('sad', 'happy'); create table moods (m mood[])`)
    await db.query(`insert into moods values ('{sad,happy}')`)
    await db.refreshArrayTypes()
    return [(await db.query('select m from moods')).rows, (await db.query('insert into moods values ($1) returning m', [['sad']])).rows]
  },

  'COPY from and to /dev/blob': async (db) => {
    await db.exec(`create table copied (id int, t text); insert into copied values (1, 'a,b'), (2, 'it''s'), (3, null)`)
    const out = await db.query(`COPY copied TO '/dev/blob' WITH (FORMAT csv)`)
    const text = await out.blob.text()
    await db.exec('create table copied2 (like copied)')
    const back = await db.query(`COPY copied2 FROM '/dev/blob' WITH (FORMAT csv)`, [], { blob: new Blob([text]) })
    const [again] = await db.exec(`copy copied2 from '/dev/blob' with (format csv)`, { blob: new Blob(['7,x\n']) })
    return [out.affectedRows, out.rowCount, text, back, again.affectedRows, (await db.query('select * from copied2')).rows]
  },

  'listen, notify, unlisten': async (db) => {
    const heard = []
    const end = await db.listen('a_channel', (payload) => heard.push(['a', payload]))
    const other = (payload) => heard.push(['b', payload])
    await db.listen('a_channel', other)
    await db.listen('"Mixed Case"', (payload) => heard.push(['c', payload]))
    const off = db.onNotification((channel, payload) => heard.push([channel, payload]))
    await db.exec(`notify a_channel, 'one'; notify "Mixed Case", 'two'; notify unheard, 'three'`)
    await pause(20)
    await end()
    await db.query(`select pg_notify('a_channel', 'four')`)
    await pause(20)
    off()
    await db.unlisten('a_channel', other)
    await db.exec(`notify a_channel, 'five'`)
    await pause(20)
    await db.transaction(async (tx) => {
      await tx.listen('in_tx', (payload) => heard.push(['tx', payload]))
    })
    await db.exec(`notify in_tx, 'six'; notify IN_TX`)
    await pause(20)
    return heard
  },

  'protocol messages': async (db, { protocol }) => {
    const { serialize } = protocol
    // Without the classes, which are minified in one of the two.
    const brief = ({ messages }) => JSON.parse(JSON.stringify(messages))
    return [
      brief(await db.execProtocol(serialize.query('select 1 as a, null as b; select $$x$$ as c'))),
      brief(await db.execProtocol(serialize.parse({ text: 'select $1::int + 1 as a' }))),
      brief(await db.execProtocol(serialize.describe({ type: 'S' }))),
      brief(await db.execProtocol(serialize.bind({ values: ['41'] }))),
      brief(await db.execProtocol(serialize.execute())),
      brief(await db.execProtocol(serialize.sync())),
      await failure(db.execProtocol(serialize.query('select 1/0'))),
      (await db.execProtocol(serialize.query('select 1/0'), { throwOnError: false })).messages.map(({ name, code }) => [name, code]),
      Buffer.from(await db.execProtocolRaw(serialize.query('select 7 as seven'))).toString('hex'),
      await failure(db.execProtocol(serialize.parse({ text: 'nonsense' }))),
      brief(await db.execProtocol(serialize.sync())),
    ]
  },

  'bytes of the protocol': async (_db, { protocol }) => {
    const { serialize } = protocol
    const hex = (bytes) => Buffer.from(bytes).toString('hex')
    return [
      serialize.startup({ user: 'u', database: 'd' }), serialize.password('p'), serialize.requestSsl(), serialize.query('select 1 ☃'),
      serialize.parse({ name: 'n', text: 't', types: [1, 23] }), serialize.parse({ text: 't' }), serialize.execute({ portal: 'p', rows: 5 }),
      serialize.execute(), serialize.describe({ type: 'S', name: 'n' }), serialize.describe({ type: 'P' }), serialize.close({ type: 'P', name: 'x' }),
      serialize.flush(), serialize.sync(), serialize.end(), serialize.copyDone(), serialize.copyFail('f'), serialize.cancel(5, 6),
      serialize.copyData(Uint8Array.of(1, 2, 3).buffer), serialize.sendSCRAMClientFinalMessage('x'), serialize.sendSASLInitialResponseMessage('m', 'r'),
    ].map(hex)
  },

  'runExclusive': async (db, { protocol }) =>
    db.runExclusive(async () => {
      const waiting = db.query('select 2 as later')
      const { messages } = await db.execProtocol(protocol.serialize.query('select 1 as now'))
      return { messages: messages.length, waiting: typeof waiting.then }
    }),

  'formatQuery': async (db, { formatQuery }) => [
    await formatQuery(db, 'select $1 as a, $2::int as b, $1 as c', [`it's`, 5]),
    await formatQuery(db, 'select 1'),
    await formatQuery(db, `select $2::text || $1::text as a`, ['x', 'y']),
  ],

  'extensions of PostgreSQL': async (_db, { PGlite }, _template, _live, contrib) => {
    const { uuid_ossp } = await contrib('uuid_ossp')
    const { hstore } = await contrib('hstore')
    const own = await PGlite.create({ extensions: { uuid_ossp, hstore } })
    await own.exec('create extension "uuid-ossp"; create extension hstore')
    const results = [await own.query(`select uuid_generate_v5(uuid_ns_url(), 'x') as u, 'a=>1'::hstore::text as h`)]
    await own.close()
    return results
  },

  'live query': async (db) => {
    await db.exec(`create table l1 (id serial primary key, n int); insert into l1 (n) select i * 10 from generate_series(1, 4) i;
      create view l1v as select * from l1`)
    const got = []
    let arrived
    const callback = (results) => (got.push(results.rows), arrived?.())
    const change = async (sql) => {
      const arrival = new Promise((resolve) => (arrived = resolve))
      await db.exec(sql)
      await arrival
    }
    const { initialResults, unsubscribe } = await db.live.query('select * from l1v where n < $1 order by n;', [100], callback)
    await change('insert into l1 (n) values (25)')
    await change('delete from l1 where id = 5')
    await change('update l1 set n = 15 where id = 3')
    await unsubscribe()
    await db.exec('insert into l1 (n) values (35)')
    await pause(50)
    return [initialResults.rows, initialResults.fields, got]
  },

  'live query with a window': async (db) => {
    await db.exec('create table l2 (id serial primary key, n int); insert into l2 (n) select i from generate_series(1, 10) i')
    const got = []
    const pick = ({ rows, offset, limit, totalCount }) => ({ rows, offset, limit, totalCount })
    const wide = await db.live.query({ query: 'select * from l2 order by n', offset: 2, limit: 3, callback: (results) => got.push(pick(results)) })
    await wide.refresh({ offset: 5 })
    await wide.refresh({ limit: 1 })
    await wide.unsubscribe()
    const errors = [await failure(db.live.query({ query: 'select 1', offset: 1 })), await failure(db.live.query({ query: 'select 1', offset: 1, limit: 'x' }))]
    return [pick(wide.initialResults), got, errors]
  },

  'live changes': async (db) => {
    await db.exec(`create table l3 (id int primary key, n int, t text); insert into l3 values (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')`)
    let arrived
    const got = []
    const sorted = (changes) => [...changes].sort((a, b) => a.id - b.id)
    const callback = (changes) => (got.push(sorted(changes)), arrived?.())
    const change = async (sql) => {
      const arrival = new Promise((resolve) => (arrived = resolve))
      await db.exec(sql)
      await arrival
    }
    const { initialChanges, fields, unsubscribe } = await db.live.changes('select * from l3 order by n', [], 'id', callback)
    await change(`insert into l3 values (4, 25, 'd')`)
    await change(`update l3 set t = 'x' where id = 1`)
    await change('delete from l3 where id = 2')
    await change('update l3 set n = 5 where id = 3')
    await unsubscribe()
    return [sorted(initialChanges), fields, got]
  },

  'live incremental query': async (db) => {
    await db.exec(`create table l4 (id text primary key, n int); insert into l4 values ('potato', 1), ('banana', 2)`)
    let arrived
    const got = []
    const callback = ({ rows, fields }) => (got.push({ rows, fields }), arrived?.())
    const change = async (sql) => {
      const arrival = new Promise((resolve) => (arrived = resolve))
      await db.exec(sql)
      await arrival
    }
    const { initialResults, unsubscribe } = await db.live.incrementalQuery('select * from l4 order by n', [], 'id', callback)
    await change(`insert into l4 values ('kiwi', 0)`)
    await change(`update l4 set n = 10 where id = 'potato'`)
    await change(`delete from l4 where id = 'banana'`)
    await unsubscribe()
    return [initialResults, got]
  },

  'live query that ends by a signal': async (db) => {
    await db.exec('create table l5 (id serial primary key)')
    const controller = new AbortController()
    const got = []
    await db.live.query({ query: 'select * from l5', signal: controller.signal, callback: ({ rows }) => got.push(rows.length) })
    controller.abort()
    await pause(50)
    await db.exec('insert into l5 default values')
    await pause(50)
    return got
  },

  'many calls at once keep their order': async (db) => {
    const results = await Promise.all(Array.from({ length: 50 }, (_, index) => db.query('select $1::int as i', [index])))
    return results.map(({ rows }) => rows[0].i)
  },

  'state of the instance': async (_db, { PGlite }) => {
    const own = new PGlite()
    const states = [own.ready, own.closed, own.debug, own.dataDir]
    await own.waitReady
    states.push(own.ready, own.closed)
    await own.query('select 1')
    const last = own.query('select 2 as a')
    await own.close()
    states.push(own.ready, own.closed, (await last).rows, typeof own[Symbol.asyncDispose])
    await own.query('select 1').then(() => states.push('no error'), (error) => states.push(/ is closed$/.test(error.message)))
    await own.close().then(() => states.push('no error'), (error) => states.push(/ is closed$/.test(error.message)))
    return states
  },
}

describe('Calf does what PGlite does', () => {
  const sides = {}
  before(async () => {
    const contribOf = (name) => (extension) => import(`${name}/contrib/${extension}`)
    sides.pglite = [await pglite.PGlite.create({ extensions: { live: pgliteLive } }), pglite, pgliteTemplate, pgliteLive, contribOf('@electric-sql/pglite')]
    sides.calf = [await calf.PGlite.create({ extensions: { live: calfLive } }), calf, calfTemplate, calfLive, contribOf('calf')]
  })
  after(async () => {
    await sides.calf?.[0].close()
    await sides.pglite?.[0].close()
  })

  for (const [name, step] of Object.entries(steps)) {
    test(name, { timeout: 120_000 }, async () => {
      const expected = await step(...sides.pglite)
      const actual = await step(...sides.calf)
      assert.deepEqual(actual, expected)
    })
  }

  test('every name that PGlite exports for Node is there', () => {
    const browserOnly = ['IdbFs', 'MemoryFS', 'parse']
    const missing = Object.keys(pglite).filter((name) => !(name in calf) && !browserOnly.includes(name))
    assert.deepEqual(missing, [])
    for (const space of ['types', 'messages', 'protocol']) {
      assert.deepEqual(Object.keys(pglite[space]).filter((name) => !(name in calf[space])), [], space)
    }
  })

  test('every method that is in the interface of PGlite is there', () => {
    const emscripten = /^(_|Module|ENV|handleExternalCmd|execProtocolRawSync|execProtocolStream|callMain|copyToFS|constructor)/
    const methods = (instance) => {
      const names = []
      for (let at = Object.getPrototypeOf(instance); at !== Object.prototype; at = Object.getPrototypeOf(at)) names.push(...Object.getOwnPropertyNames(at))
      return names
    }
    const ours = methods(sides.calf[0])
    assert.deepEqual(methods(sides.pglite[0]).filter((name) => !emscripten.test(name) && !ours.includes(name)), [])
  })

  test('dumps of each open in the other', { timeout: 120_000 }, async () => {
    for (const [from, To] of [[sides.pglite[0], calf.PGlite], [sides.calf[0], pglite.PGlite]]) {
      const source = await from.constructor.create()
      await source.exec(`create table moved (id int primary key, v text); insert into moved select i, 'v' || i from generate_series(1, 1000) i`)
      const dump = await source.dumpDataDir('gzip')
      assert.match(dump.name, /^pgdata\.tar\.gz$/)
      const target = await To.create({ loadDataDir: dump })
      assert.deepEqual((await target.query('select count(*) as n, max(v) as v from moved')).rows, [{ n: 1000, v: 'v999' }])
      await target.query('insert into moved values (1001)')
      await target.close()
      await source.close()
    }
  })
})
