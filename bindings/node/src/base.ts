/**
 * What a database and a session have in common: queries, transactions, notifications, the protocol. One call after the
 * other, as they were made; while a transaction or `runExclusive` runs, everything else of this object waits.
 */
import type { Connection } from './connection.js'
import { arrayTypes } from './array_types.js'
import type {
  DebugLevel,
  DescribeQueryResult,
  ExecProtocolOptions,
  ExecProtocolOptionsStream,
  ExecProtocolResult,
  ParserOptions,
  QueryInterface,
  QueryOptions,
  Results,
  SerializerOptions,
  Transaction,
  Unsubscribe,
} from './interface.js'
import { Mutex } from './mutex.js'
import { DatabaseError, type BackendMessage, NoticeMessage } from './protocol/messages.js'
import { Parser as ProtocolParser } from './protocol/parser.js'
import { query as queryTemplate } from './template.js'
import { arrayParser, arraySerializer, type Parser, parsers, type Serializer, serializers } from './types.js'
import { quoteIdentifier, toPostgresName } from './utils.js'

type NotifyCallback = (payload: string) => void
type AnyNotifyCallback = (channel: string, payload: string) => void

export abstract class BaseCalf implements QueryInterface {
  /** By OID; may be changed at any time. */
  serializers: Record<number | string, Serializer> = { ...serializers }
  parsers: Record<number | string, Parser> = { ...parsers }
  readonly debug: DebugLevel = 0

  #transactionLock = new Mutex()
  #queryLock = new Mutex()
  #listenLock = new Mutex()
  #listeners = new Map<string, Set<NotifyCallback>>()
  #anyListeners = new Set<AnyNotifyCallback>()

  constructor(options: { parsers?: ParserOptions; serializers?: SerializerOptions; debug?: DebugLevel }) {
    for (const [element, array] of arrayTypes) this.#addArrayType(element, array)
    Object.assign(this.parsers, options.parsers)
    Object.assign(this.serializers, options.serializers)
    this.debug = options.debug ?? 0
  }

  abstract readonly closed: boolean
  abstract close(): Promise<void>
  /** The connection, as soon as there is one; an error when it is closed. */
  abstract _ready(): Promise<Connection>

  /** One statement. Parameters are `$1`, `$2`, … */
  async query<T>(query: string, params?: any[], options?: QueryOptions): Promise<Results<T>> {
    await this._ready()
    return this.#transactionLock.runExclusive(() => this.#query<T>(query, params, options))
  }

  /** One statement as a tagged template: its values become parameters. */
  async sql<T>(sqlStrings: TemplateStringsArray, ...params: any[]): Promise<Results<T>> {
    const templated = queryTemplate(sqlStrings, ...params)
    return this.query(templated.query, templated.params)
  }

  /** Any number of statements without parameters; one result each. */
  async exec(query: string, options?: QueryOptions): Promise<Array<Results>> {
    await this._ready()
    return this.#transactionLock.runExclusive(() => this.#exec(query, options))
  }

  /** Types of a statement's parameters and columns; it does not run. */
  async describeQuery(query: string, options?: QueryOptions): Promise<DescribeQueryResult> {
    const connection = await this._ready()
    return connection.describe(query, options, this)
  }

  /**
   * Runs `callback` in a transaction, which is committed when it resolves and rolled back when it rejects. Use only `tx`
   * within: calls of the object itself wait until the transaction has ended.
   */
  async transaction<T>(callback: (tx: Transaction) => Promise<T>): Promise<T> {
    await this._ready()
    return this.#transactionLock.runExclusive(async () => {
      await this.#exec('BEGIN')
      let closed = false
      const end = async (command: string) => {
        if (closed) return
        closed = true
        await this.#exec(command)
      }
      const tx = this.#transactionOn(() => closed, () => end('ROLLBACK'))
      try {
        const result = await callback(tx)
        await end('COMMIT')
        return result
      } catch (error) {
        // A session that is gone has rolled back; what matters is the first error.
        await end('ROLLBACK').catch(() => {})
        throw error
      }
    })
  }

  #transactionOn(isClosed: () => boolean, rollback: () => Promise<void>): Transaction {
    const open = () => {
      if (isClosed()) throw new Error('Transaction is closed')
    }
    const tx: Transaction = {
      query: async <T>(query: string, params?: any[], options?: QueryOptions) => {
        open()
        return this.#query<T>(query, params, options)
      },
      sql: async <T>(sqlStrings: TemplateStringsArray, ...params: any[]) => {
        open()
        const templated = queryTemplate(sqlStrings, ...params)
        return this.#query<T>(templated.query, templated.params)
      },
      exec: async (query: string, options?: QueryOptions) => {
        open()
        return this.#exec(query, options)
      },
      rollback: async () => {
        open()
        await rollback()
      },
      listen: async (channel: string, callback: NotifyCallback) => {
        open()
        return this.listen(channel, callback, tx)
      },
      get closed() {
        return isClosed()
      },
    }
    return tx
  }

  /** Runs `fn` while no query runs; within, only the `execProtocol` functions may be used. */
  async runExclusive<T>(fn: () => Promise<T>): Promise<T> {
    return this.#queryLock.runExclusive(fn)
  }

  /** Messages of PostgreSQL's protocol in, the answer's bytes out. Takes no part in the order of the other calls. */
  async execProtocolRaw(message: Uint8Array, _options: ExecProtocolOptions = {}): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    await (await this._ready()).raw(message, (chunk) => chunks.push(chunk))
    return new Uint8Array(Buffer.concat(chunks))
  }

  /** The same, with the answer in pieces as they come. */
  async execProtocolRawStream(message: Uint8Array, { onRawData }: ExecProtocolOptionsStream): Promise<void> {
    await (await this._ready()).raw(message, onRawData)
  }

  /** The same, with the answer as objects, too. Throws PostgreSQL's errors unless `throwOnError` is false. */
  async execProtocol(message: Uint8Array, options: ExecProtocolOptions = {}): Promise<ExecProtocolResult> {
    const { throwOnError = true, onNotice } = options
    const data = await this.execProtocolRaw(message)
    const messages: BackendMessage[] = []
    new ProtocolParser().parse(data, (parsed) => {
      if (parsed instanceof DatabaseError && throwOnError) throw parsed
      if (parsed instanceof NoticeMessage) onNotice?.(parsed)
      messages.push(parsed)
    })
    return { messages, data }
  }

  /** Whether a transaction is open, by `transaction()` or by BEGIN. */
  isInTransaction(): boolean {
    return this._connectionNow()?.inTransaction ?? false
  }

  /** Interrupts the query that runs, which fails with 57014. Nothing happens when none does. */
  cancel(): void {
    this._connectionNow()?.cancel()
  }

  /** Calls `callback` with the payload of every NOTIFY on the channel. Returns what ends that. */
  async listen(channel: string, callback: NotifyCallback, tx?: Transaction): Promise<Unsubscribe> {
    const name = toPostgresName(channel)
    return this.#listenLock.runExclusive(async () => {
      const callbacks = this.#listeners.get(name) ?? new Set()
      this.#listeners.set(name, callbacks.add(callback))
      try {
        await (tx ?? this).exec(`LISTEN ${quoteIdentifier(name)}`)
      } catch (error) {
        this.#dropListener(name, callback)
        throw error
      }
      return (endTx?: Transaction) => this.unlisten(quoteIdentifier(name), callback, endTx)
    })
  }

  /** Ends one callback of the channel, or all of them. */
  async unlisten(channel: string, callback?: NotifyCallback, tx?: Transaction): Promise<void> {
    const name = toPostgresName(channel)
    return this.#listenLock.runExclusive(async () => {
      this.#dropListener(name, callback)
      if (!this.#listeners.has(name)) await (tx ?? this).exec(`UNLISTEN ${quoteIdentifier(name)}`)
    })
  }

  /** Calls `callback` for every notification on any channel that is listened to. Returns what ends that. */
  onNotification(callback: AnyNotifyCallback): () => void {
    this.#anyListeners.add(callback)
    return () => this.offNotification(callback)
  }

  offNotification(callback: AnyNotifyCallback): void {
    this.#anyListeners.delete(callback)
  }

  /** Learns the array types that were created since the database was opened. */
  async refreshArrayTypes(): Promise<void> {
    await this._loadArrayTypes()
  }

  async _loadArrayTypes(): Promise<void> {
    const { rows } = await this.query<[number, number]>(
      `SELECT element.oid, element.typarray FROM pg_catalog.pg_type array_type
       JOIN pg_catalog.pg_type element ON element.oid = array_type.typelem
       WHERE array_type.typcategory = 'A' AND element.typarray <> 0`,
      [],
      { rowMode: 'array' },
    )
    for (const [element, array] of rows) this.#addArrayType(element, array)
  }

  /** The connection, if it is there yet. */
  abstract _connectionNow(): Connection | undefined

  _notified(channel: string, payload: string): void {
    // Later than what is running now, and what one callback throws does not concern the others.
    for (const callback of this.#listeners.get(channel) ?? []) queueMicrotask(() => callback(payload))
    for (const callback of this.#anyListeners) queueMicrotask(() => callback(channel, payload))
  }

  _noticed(notice: NoticeMessage): void {
    if (this.debug > 0) console.warn(notice)
  }

  /** Waits for what was called before, and lets nothing begin any more: `close` while nothing runs. */
  _runLast<T>(close: () => Promise<T>): Promise<T> {
    return this.#transactionLock.runExclusive(() => this.#queryLock.runExclusive(close))
  }

  async #query<T>(query: string, params: any[] = [], options?: QueryOptions): Promise<Results<T>> {
    if (this.debug > 0) console.log('query', query, params)
    return this.#queryLock.runExclusive(async () => (await this._ready()).query(query, params ?? [], options, this))
  }

  async #exec(query: string, options?: QueryOptions): Promise<Array<Results>> {
    if (this.debug > 0) console.log('exec', query)
    return this.#queryLock.runExclusive(async () => (await this._ready()).exec(query, options, this))
  }

  #addArrayType(element: number, array: number): void {
    // The element's entry is looked up when it is used: users may replace it.
    this.serializers[array] = (value) => arraySerializer(value, this.serializers[element], array)
    this.parsers[array] = (text) => arrayParser(text, this.parsers[element], array)
  }

  #dropListener(name: string, callback?: NotifyCallback): void {
    const callbacks = this.#listeners.get(name)
    if (callback) callbacks?.delete(callback)
    if (!callback || callbacks?.size === 0) this.#listeners.delete(name)
  }
}
