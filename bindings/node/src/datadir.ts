/** Data directories as tar archives: out of a cluster that runs, and on the way back into one. */
import * as buffer from 'node:buffer'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { DumpTarCompressionOptions, Results } from './interface.js'
import { tar, type TarEntry } from './tar.js'

// A global since Node 20.
const File = globalThis.File ?? (buffer.File as unknown as typeof globalThis.File)

type Query = (sql: string, params?: any[]) => Promise<Results<any>>

const PART_BYTES = 8 << 20
const MAX_ATTEMPTS = 3

/** What belongs to a running server, or is made anew when one starts. */
const leftOut = /^(postmaster\.(pid|opts)|backup_label|tablespace_map|pg_(dynshmem|notify|replslot|serial|snapshots|stat_tmp|subtrans|tblspc)\/.*|(.*\/)?pgsql_tmp.*|.*\/pg_internal\.init(\..*)?)$/

const listFiles = `
  WITH RECURSIVE entry(path, isdir) AS (
    SELECT name, (pg_stat_file(name, true)).isdir FROM pg_ls_dir('.') AS name
    UNION ALL
    SELECT path || '/' || name, (pg_stat_file(path || '/' || name, true)).isdir
    FROM entry, pg_ls_dir(path, true, false) AS name WHERE isdir
  )
  SELECT path, isdir FROM entry WHERE isdir IS NOT NULL ORDER BY path`

async function readFile(query: Query, path: string): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = []
  for (let at = 0; ; at += PART_BYTES) {
    const { rows } = await query('SELECT pg_read_binary_file($1, $2, $3, true) AS part', [path, at, PART_BYTES])
    const part: Uint8Array | null = rows[0].part
    // A file that is gone meanwhile was dropped, as the log will say.
    if (part === null) return undefined
    parts.push(part)
    if (part.byteLength < PART_BYTES) return parts.length === 1 ? part : Buffer.concat(parts)
  }
}

/**
 * The data directory as an archive. The order makes it one that recovers, whatever other sessions write meanwhile: the
 * control file names a checkpoint; what was written since is in the log, which is read last. `query` is a session of a
 * superuser that does nothing else.
 */
async function archive(query: Query): Promise<Buffer> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    await query('CHECKPOINT')
    const { rows } = await query('SELECT redo_wal_file FROM pg_control_checkpoint()')
    const entries = await readEntries(query)
    // A checkpoint that came in between may have removed the log that the archive begins with.
    if (entries.some(({ path }) => path === `pg_wal/${rows[0].redo_wal_file}`)) return Buffer.concat([...tar(entries)])
  }
  throw new Error('dumpDataDir: the database is written faster than it can be read; raise min_wal_size')
}

async function readEntries(query: Query): Promise<TarEntry[]> {
  const CONTROL = 'global/pg_control'
  const empty = new Uint8Array()
  const control = (await readFile(query, CONTROL))!
  const entries: TarEntry[] = [
    { path: 'global', directory: true, data: empty },
    { path: CONTROL, directory: false, data: control },
  ]
  const add = async (path: string, directory: boolean) => {
    const data = directory ? empty : await readFile(query, path)
    if (data) entries.push({ path, directory, data })
  }
  for (const { path, isdir } of (await query(listFiles)).rows) {
    const isLog = path.startsWith('pg_wal/') && !isdir
    if (!isLog && !leftOut.test(path) && path !== 'global' && path !== CONTROL) await add(path, isdir)
  }
  const log = await query(`SELECT 'pg_wal/' || name AS path FROM pg_ls_waldir() ORDER BY name`)
  for (const { path } of log.rows) await add(path, false)
  return entries
}

export async function dump(query: Query, name: string, compression: DumpTarCompressionOptions = 'auto'): Promise<File> {
  const plain = await archive(query)
  if (compression === 'none') return new File([plain as BlobPart], `${name}.tar`, { type: 'application/x-tar' })
  // Data directories are mostly empty pages: more effort than the least hardly makes them smaller.
  const zipped = await promisify(gzip)(plain, { level: 1 })
  return new File([zipped as BlobPart], `${name}.tar.gz`, { type: 'application/x-gzip' })
}

/** An archive, unzipped, for the engine to start with. `directory`: where it is going to be, unless that is memory. */
export async function load(source: Blob, directory?: string): Promise<Uint8Array> {
  if (directory && existsSync(join(directory, 'PG_VERSION'))) {
    throw new Error('Database already exists, cannot load from tarball')
  }
  const bytes = Buffer.from(await source.arrayBuffer())
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? promisify(gunzip)(bytes) : bytes
}
