// Compiled, not run: a program that uses the types.
import { Calf, PGlite, type PGliteInterface, type Results, type Session, type Transaction, formatQuery, protocol, types } from 'calf'
import { uuid_ossp } from 'calf/contrib/uuid_ossp'
import { live, type LiveNamespace, type PGliteWithLive } from 'calf/live'
import { identifier } from 'calf/template'

export async function main(): Promise<void> {
  const db = await Calf.create('memory://', { extensions: { live, uuid_ossp }, parsers: { [types.NUMERIC]: (text: string) => BigInt(text) } })
  const plain: PGlite = new PGlite({ dataDir: 'file://x', debug: 1, relaxedDurability: true })
  const asInterface: PGliteInterface = plain
  const namespace: LiveNamespace = db.live
  const withLive: PGliteWithLive = db as unknown as PGliteWithLive
  const results: Results<{ a: number }> = await db.query<{ a: number }>('select 1 as a', [], { rowMode: 'object', signal: AbortSignal.timeout(5) })
  const a: number = results.rows[0].a
  const text: string = await db.transaction(async (tx: Transaction) => (await tx.sql<{ t: string }>`select ${identifier`t`}`).rows[0].t)
  const session: Session = await db.session({ username: 'me', settings: { jit: false } })
  const url: string = await db.connectionString({ host: '127.0.0.1' })
  const bytes: Uint8Array = await db.execProtocolRaw(protocol.serialize.sync())
  const dump: Blob = await db.dumpDataDir('gzip')
  const end = await db.listen('channel', (payload: string) => void payload)
  await namespace.query<{ a: number }>('select 1 as a', [], ({ rows }) => void rows[0].a)
  // @ts-expect-error: there is no such option
  await db.query('select 1', [], { nonsense: true })
  await end()
  console.log(a, text, url, bytes, dump, await formatQuery(asInterface, 'select $1', [1]), withLive.live)
  await session.close()
}
