/** The extension `live`: results of queries that follow their tables. */
import type { PGliteInterface, QueryInterface, Results, Transaction } from '../interface.js'
import { oneAtATime } from '../utils.js'
import type { Parser } from '../types.js'
import { ChangeTracker, type Column, RowMemory, type TextRow } from './changes.js'
import type {
  Change,
  LiveChanges,
  LiveChangesOptions,
  LiveIncrementalQueryOptions,
  LiveNamespace,
  LiveQuery,
  LiveQueryOptions,
  LiveQueryResults,
} from './interface.js'
import { LiveSource, Subscribers } from './source.js'

export type * from './interface.js'

type Host = QueryInterface & { parsers: Record<number, Parser> }
type Fields = { name: string; dataTypeID: number }[]
type Window = { offset: number; limit: number }

const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value)

function windowOf({ offset, limit }: { offset?: number; limit?: number }): Window | undefined {
  if ((offset === undefined) !== (limit === undefined)) throw new Error('offset and limit must be provided together')
  if (offset === undefined) return undefined
  if (!isNumber(offset) || !isNumber(limit)) throw new Error('offset and limit must be numbers')
  return { offset, limit }
}

async function liveQuery<T>(pg: Host, options: LiveQueryOptions<T>): Promise<LiveQuery<T>> {
  const window = windowOf(options)
  let totalCount: number | undefined
  let results!: LiveQueryResults<T>
  const select = async (...by: Parameters<LiveSource['count']>) =>
    window
      ? { ...(await source.window<T>(window.limit, window.offset, ...by)), ...window, totalCount }
      : await source.select<T>(...by)

  const refresh = oneAtATime(async (moved: { offset?: number; limit?: number } = {}): Promise<void> => {
    if (!window && (moved.offset !== undefined || moved.limit !== undefined)) {
      throw new Error('offset and limit cannot be provided for non-windowed queries')
    }
    for (const value of [moved.offset, moved.limit]) {
      if (value !== undefined && !isNumber(value)) throw new Error('offset and limit must be numbers')
    }
    if (window) Object.assign(window, { offset: moved.offset ?? window.offset, limit: moved.limit ?? window.limit })
    if (subscribers.none) return
    results = await select()
    subscribers.call(results)
    if (!window) return
    // Counting takes longer than the window itself: the rows are shown first.
    const count = await source.count()
    if (count !== totalCount) {
      totalCount = count
      refreshQuietly(pg, subscribers, refresh)
    }
  })

  let source!: LiveSource
  const subscribers = new Subscribers<LiveQueryResults<T>>(options.callback, () => source.close())
  await LiveSource.open(pg, options.query, options.params, () => refreshQuietly(pg, subscribers, refresh), async (opened, tx) => {
    source = opened
    if (window) totalCount = await opened.count(tx)
    results = await select(tx)
  })
  await subscribers.follow(options.signal)
  subscribers.call(results)
  const { subscribe, unsubscribe } = subscribers
  return { initialResults: results, subscribe, unsubscribe, refresh }
}

/** Runs `refresh` because of a notification. What fails after the live query, or the database, has ended is nobody's error. */
function refreshQuietly(pg: Host, subscribers: Subscribers<any>, refresh: () => Promise<unknown>): void {
  refresh().catch((error) => {
    if (!subscribers.none && !pg.closed) throw error
  })
}

/** A live query whose rows are compared as text before they are parsed. `start` is told the columns before the first rows are read. */
async function openText(
  pg: Host,
  { query, params }: { query: string; params?: any[] | null },
  onChange: () => void,
  start: (columns: Column[]) => void,
): Promise<{ source: LiveSource; fields: Fields; first: TextRow[]; select: () => Promise<TextRow[]> }> {
  let fields!: Fields
  let first!: TextRow[]
  let parsers!: Record<number, Parser>
  const read = async (source: LiveSource, by: QueryInterface | Transaction = pg) =>
    (await source.select<any>(by, { rowMode: 'array', parsers })).rows as TextRow[]
  const source = await LiveSource.open(pg, query, params, onChange, async (opened, tx) => {
    fields = (await opened.describe()).resultFields.map(({ name, dataTypeID }) => ({ name, dataTypeID }))
    parsers = Object.fromEntries(fields.map(({ dataTypeID }) => [dataTypeID, (text: string) => text]))
    start(
      fields.map(({ name, dataTypeID }) => {
        const parser = pg.parsers[dataTypeID]
        return { name, parse: (text: string) => (parser ? parser(text, dataTypeID) : text) }
      }),
    )
    first = await read(opened, tx)
  })
  return { source, fields, first, select: () => read(source) }
}

async function liveChanges<T>(pg: Host, options: LiveChangesOptions<T>): Promise<LiveChanges<T>> {
  if (!options.key) throw new Error('key is required for changes queries')
  let tracker!: ChangeTracker<T>
  const subscribers = new Subscribers<Array<Change<T>>>(options.callback, () => source.close())
  const refresh = oneAtATime(async () => {
    if (!subscribers.none) subscribers.call(tracker.next(await select()))
  })
  const { source, fields, first, select } = await openText(
    pg,
    options,
    () => refreshQuietly(pg, subscribers, refresh),
    (columns) => (tracker = new ChangeTracker<T>(columns, options.key)),
  )
  const changes = tracker.next(first)
  await subscribers.follow(options.signal)
  subscribers.call(changes)
  const { subscribe, unsubscribe } = subscribers
  return { fields, initialChanges: changes, subscribe, unsubscribe, refresh }
}

async function liveIncremental<T>(pg: Host, options: LiveIncrementalQueryOptions<T>): Promise<LiveQuery<T>> {
  if (!options.key) throw new Error('key is required for incremental queries')
  let memory!: RowMemory<T>
  let rows!: T[]
  const subscribers = new Subscribers<Results<T>>(options.callback, () => source.close())
  const refresh = oneAtATime(async () => {
    if (subscribers.none) return
    const before = rows
    rows = memory.next(await select())
    if (rows !== before) subscribers.call({ rows, fields })
  })
  const { source, fields, first, select } = await openText(
    pg,
    options,
    () => refreshQuietly(pg, subscribers, refresh),
    (columns) => (memory = new RowMemory<T>(columns, options.key)),
  )
  rows = memory.next(first)
  await subscribers.follow(options.signal)
  subscribers.call({ rows, fields })
  const { subscribe, unsubscribe } = subscribers
  return { initialResults: { rows, fields }, subscribe, unsubscribe, refresh }
}

const setup = async (pg: PGliteInterface): Promise<{ namespaceObj: LiveNamespace }> => {
  const host = pg as unknown as Host
  const namespaceObj: LiveNamespace = {
    query: <T>(query: string | LiveQueryOptions<T>, params?: any[] | null, callback?: any) =>
      liveQuery<T>(host, typeof query === 'string' ? { query, params, callback } : query),
    changes: <T>(query: string | LiveChangesOptions<T>, params?: any[] | null, key?: string, callback?: any) =>
      liveChanges<T>(host, typeof query === 'string' ? { query, params, key: key!, callback } : query),
    incrementalQuery: <T>(query: string | LiveIncrementalQueryOptions<T>, params?: any[] | null, key?: string, callback?: any) =>
      liveIncremental<T>(host, typeof query === 'string' ? { query, params, key: key!, callback } : query),
  }
  return { namespaceObj }
}

export const live = { name: 'Live Queries', setup }

export type PGliteWithLive = PGliteInterface & { live: LiveNamespace }
