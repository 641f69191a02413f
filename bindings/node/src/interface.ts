/** What users see of the API, as types. Compatible with PGlite's; the additions are marked "Calf". */
import type { BackendMessage, NoticeMessage } from './protocol/messages.js'
import type { Parser, Serializer } from './types.js'

export type FilesystemType = 'nodefs' | 'memoryfs'
export type DebugLevel = 0 | 1 | 2 | 3 | 4 | 5
export type RowMode = 'array' | 'object'
export type DumpTarCompressionOptions = 'none' | 'gzip' | 'auto'

export interface ParserOptions {
  [pgType: number]: (value: string) => any
}

export interface SerializerOptions {
  [pgType: number]: (value: any) => string
}

export interface QueryOptions {
  rowMode?: RowMode
  /** By OID; they come before the instance's. */
  parsers?: ParserOptions
  serializers?: SerializerOptions
  /** What `COPY … FROM '/dev/blob'` reads. */
  blob?: Blob | File
  onNotice?: (notice: NoticeMessage) => void
  /** OIDs of the first parameters; 0 leaves one to PostgreSQL. */
  paramTypes?: number[]
  /** Calf: aborting it cancels the query, which fails with 57014. */
  signal?: AbortSignal
}

export interface ExecProtocolOptions {
  /** Accepted for compatibility: every commit is as durable as PostgreSQL's settings say. */
  syncToFs?: boolean
  throwOnError?: boolean
  onNotice?: (notice: NoticeMessage) => void
}

export interface ExecProtocolOptionsStream {
  syncToFs?: boolean
  onRawData: (data: Uint8Array) => void
}

export interface ExecProtocolResult {
  messages: BackendMessage[]
  data: Uint8Array
}

export interface ExtensionSetupResult<TNamespace = any> {
  /** Not used: there is no Emscripten here. */
  emscriptenOpts?: any
  /** Becomes a property of the instance. */
  namespaceObj?: TNamespace
  /** Not used: PostgreSQL's extensions are in the library. */
  bundlePath?: URL
  sharedPreloadLibraries?: string[]
  /** Called when the database is ready. */
  init?: () => Promise<void>
  /** Called before the database closes. */
  close?: () => Promise<void>
}

export type ExtensionSetup<TNamespace = any> = (
  pg: PGliteInterface,
  emscriptenOpts: any,
  clientOnly?: boolean,
) => Promise<ExtensionSetupResult<TNamespace>>

export interface Extension<TNamespace = any> {
  name: string
  setup: ExtensionSetup<TNamespace>
}

export type ExtensionNamespace<T> = T extends Extension<infer TNamespace> ? TNamespace : any

export type Extensions = { [namespace: string]: Extension | URL }

export type InitializedExtensions<TExtensions extends Extensions = Extensions> = {
  [K in keyof TExtensions]: ExtensionNamespace<TExtensions[K]>
}

export interface CalfOptions<TExtensions extends Extensions = Extensions> {
  /** `memory://`, a path, or `file://` and a path. A directory is created when it is missing or empty. Default: memory. */
  dataDir?: string
  /** User of the session; created as a superuser if there is none. Default: postgres. */
  username?: string
  /** Database of the session; created if there is none. Default: postgres. */
  database?: string
  /** Logs queries, notices and PostgreSQL's log to the console when it is not 0. */
  debug?: DebugLevel
  /** Commits need not wait for the disk (PostgreSQL's synchronous_commit=off). */
  relaxedDurability?: boolean
  extensions?: TExtensions
  /** A tar archive of a data directory (gzipped or not) as `dumpDataDir` makes it. */
  loadDataDir?: Blob | File
  parsers?: ParserOptions
  serializers?: SerializerOptions
  /** Arguments of postgres: `-c name=value` is heeded, everything else is PGlite's own. */
  startParams?: string[]
  /** Lines of a postgresql.conf. */
  postgresqlconf?: string[] | string
  /** Lines of PostgreSQL's log; true lets `debug` print them, too. */
  onStderr?: (text: string) => boolean
  /** Calf: settings of PostgreSQL for this run. */
  settings?: Record<string, string | number | boolean>
  /** Calf: a file of `saveSnapshot` (or `calf snapshot save`) to start with; a directory must be missing or empty then. */
  snapshot?: string
  /** Calf: password of `username` for clients that come by `connectionString()`. Default: Unix sockets and loopback are trusted. */
  password?: string
}

export type PGliteOptions<TExtensions extends Extensions = Extensions> = CalfOptions<TExtensions>

export type Row<T = { [key: string]: any }> = T

export type Results<T = { [key: string]: any }> = {
  rows: Row<T>[]
  /** Rows inserted, updated, deleted, merged or copied, counted up over the statements of one `exec`. */
  affectedRows?: number
  /** "SELECT", "INSERT", "CREATE", … */
  command?: string
  /** The number of the command tag of this statement. */
  rowCount?: number
  fields: { name: string; dataTypeID: number }[]
  /** What `COPY … TO '/dev/blob'` or `TO STDOUT` wrote. */
  blob?: Blob
}

export type Unsubscribe = (tx?: Transaction) => Promise<void>

export interface Transaction {
  query<T>(query: string, params?: any[], options?: QueryOptions): Promise<Results<T>>
  sql<T>(sqlStrings: TemplateStringsArray, ...params: any[]): Promise<Results<T>>
  exec(query: string, options?: QueryOptions): Promise<Array<Results>>
  rollback(): Promise<void>
  listen(channel: string, callback: (payload: string) => void): Promise<Unsubscribe>
  get closed(): boolean
}

export type DescribeQueryResult = {
  queryParams: { dataTypeID: number; serializer: Serializer }[]
  resultFields: { name: string; dataTypeID: number; parser: Parser }[]
}

/** What a database and each of its sessions can do. */
export interface QueryInterface {
  query<T>(query: string, params?: any[], options?: QueryOptions): Promise<Results<T>>
  sql<T>(sqlStrings: TemplateStringsArray, ...params: any[]): Promise<Results<T>>
  exec(query: string, options?: QueryOptions): Promise<Array<Results>>
  describeQuery(query: string, options?: QueryOptions): Promise<DescribeQueryResult>
  transaction<T>(callback: (tx: Transaction) => Promise<T>): Promise<T>
  execProtocolRaw(message: Uint8Array, options?: ExecProtocolOptions): Promise<Uint8Array>
  execProtocolRawStream(message: Uint8Array, options: ExecProtocolOptionsStream): Promise<void>
  execProtocol(message: Uint8Array, options?: ExecProtocolOptions): Promise<ExecProtocolResult>
  runExclusive<T>(fn: () => Promise<T>): Promise<T>
  listen(channel: string, callback: (payload: string) => void, tx?: Transaction): Promise<Unsubscribe>
  unlisten(channel: string, callback?: (payload: string) => void, tx?: Transaction): Promise<void>
  onNotification(callback: (channel: string, payload: string) => void): () => void
  offNotification(callback: (channel: string, payload: string) => void): void
  refreshArrayTypes(): Promise<void>
  close(): Promise<void>
  readonly closed: boolean
}

export type PGliteInterface<T extends Extensions = Extensions> = InitializedExtensions<T> &
  QueryInterface & {
    readonly waitReady: Promise<void>
    readonly debug: DebugLevel
    readonly ready: boolean
    dumpDataDir(compression?: DumpTarCompressionOptions): Promise<File | Blob>
  }

export type PGliteInterfaceExtensions<E> = E extends Extensions
  ? {
      [K in keyof E]: E[K] extends Extension
        ? Awaited<ReturnType<E[K]['setup']>>['namespaceObj'] extends infer N
          ? N extends undefined | null | void
            ? never
            : N
          : never
        : never
    }
  : Record<string, never>
