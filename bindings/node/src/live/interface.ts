/** Live queries: what users see of them, as types. */
import type { Results } from '../interface.js'

type AnyRow = { [key: string]: any }

export interface LiveQueryOptions<T = AnyRow> {
  query: string
  params?: any[] | null
  /** With `limit`: a window of the result; the count of all rows is kept beside it. */
  offset?: number
  limit?: number
  callback?: (results: LiveQueryResults<T>) => void
  /** Aborting it ends the live query. */
  signal?: AbortSignal
}

export interface LiveChangesOptions<T = AnyRow> {
  query: string
  params?: any[] | null
  /** The column that tells rows apart. */
  key: string
  callback?: (changes: Array<Change<T>>) => void
  signal?: AbortSignal
}

export interface LiveIncrementalQueryOptions<T = AnyRow> {
  query: string
  params?: any[] | null
  key: string
  callback?: (results: Results<T>) => void
  signal?: AbortSignal
}

export interface LiveNamespace {
  /** The result of a query, again whenever one of its tables has changed. */
  query<T = AnyRow>(
    query: string,
    params?: any[] | null,
    callback?: (results: LiveQueryResults<T>) => void,
  ): Promise<LiveQuery<T>>
  query<T = AnyRow>(options: LiveQueryOptions<T>): Promise<LiveQuery<T>>
  /** What has changed in the result of a query. */
  changes<T = AnyRow>(
    query: string,
    params: any[] | undefined | null,
    key: string,
    callback?: (changes: Array<Change<T>>) => void,
  ): Promise<LiveChanges<T>>
  changes<T = AnyRow>(options: LiveChangesOptions<T>): Promise<LiveChanges<T>>
  /** The result of a query, again only when it has changed itself; rows that did not change stay the same objects. */
  incrementalQuery<T = AnyRow>(
    query: string,
    params: any[] | undefined | null,
    key: string,
    callback?: (results: Results<T>) => void,
  ): Promise<LiveQuery<T>>
  incrementalQuery<T = AnyRow>(options: LiveIncrementalQueryOptions<T>): Promise<LiveQuery<T>>
}

export interface LiveQueryResults<T> extends Results<T> {
  totalCount?: number
  offset?: number
  limit?: number
}

export interface LiveQuery<T> {
  initialResults: LiveQueryResults<T>
  subscribe: (callback: (results: LiveQueryResults<T>) => void) => void
  /** Ends one callback, or all; the live query ends with its last one. */
  unsubscribe: (callback?: (results: LiveQueryResults<T>) => void) => Promise<void>
  refresh: (options?: { offset?: number; limit?: number }) => Promise<void>
}

export interface LiveChanges<T = AnyRow> {
  fields: { name: string; dataTypeID: number }[]
  initialChanges: Array<Change<T>>
  subscribe: (callback: (changes: Array<Change<T>>) => void) => void
  unsubscribe: (callback?: (changes: Array<Change<T>>) => void) => Promise<void>
  refresh: () => Promise<void>
}

/** `__after__` is the key of the row before it, null for the first one. */
export type ChangeInsert<T> = { __changed_columns__: string[]; __op__: 'INSERT'; __after__: any } & T
export type ChangeDelete<T> = { __changed_columns__: string[]; __op__: 'DELETE'; __after__: undefined } & T
export type ChangeUpdate<T> = { __changed_columns__: string[]; __op__: 'UPDATE'; __after__: any } & T
export type ChangeReset<T> = { __op__: 'RESET' } & T
export type Change<T> = ChangeInsert<T> | ChangeDelete<T> | ChangeUpdate<T> | ChangeReset<T>
