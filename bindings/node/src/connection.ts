/**
 * A session of PostgreSQL over a wire of the addon: one exchange at a time, prepared statements that are kept, notices,
 * notifications, cancelling. It knows the protocol, not the API: who may run what, and when, is decided above.
 */
import type { Cluster, Wire } from './addon.cjs'
import { replaceDevBlob } from './blob.js'
import { type Exchange, mergeParsers, RawExchange, RawState, ResultExchange, StartupExchange } from './exchanges.js'
import type { DescribeQueryResult, QueryOptions, Results } from './interface.js'
import { Mutex } from './mutex.js'
import { DatabaseError, type NoticeMessage } from './protocol/messages.js'
import { Backend, Framer, readError, Reader, readNotice, readNotification } from './protocol/parser.js'
import {
  Frontend,
  type LegalValue,
  writeBind,
  writeClose,
  writeCopyData,
  writeCopyDone,
  writeCopyFail,
  writeDescribe,
  writeExecute,
  writeFlush,
  writeParse,
  writeQuery,
  writeStartup,
  writeSync,
} from './protocol/serialize.js'
import { Writer } from './protocol/writer.js'
import { type Statement, StatementCache } from './statements.js'
import { type Parser, type Serializer, types } from './types.js'

/** Parsers and serializers by OID. */
export interface Codecs {
  parsers: Record<number | string, Parser>
  serializers: Record<number | string, Serializer>
}

export interface ConnectionEvents {
  onNotification(channel: string, payload: string): void
  onNotice(notice: NoticeMessage): void
}

/** A query and what it is run with. */
interface Call {
  text: string
  /** Its prepared statement's in the cache. */
  key: string
  params: any[]
  options: QueryOptions | undefined
  codecs: Codecs
  blob: Uint8Array | undefined
}

const RECEIVE_BYTES = 64 * 1024
const COPY_CHUNK_BYTES = 64 * 1024
/** How long the database may run on this thread at a time, and for all queries together between turns of the event loop. */
const QUICK_MS = 1
const QUICK_TOTAL_MS = 4
const MAX_PATIENCE = 63
const NO_BLOB = 'COPY FROM the client needs something to read: pass { blob } with the query'

/**
 * Running a query on this thread saves two switches of threads. But a program that waits for one query after the other
 * would never get to its other events: now and then a query goes by way of the event loop.
 */
const haste = {
  since: 0,
  allowed(now: number): boolean {
    if (this.since === 0) this.since = now
    if (now - this.since < QUICK_TOTAL_MS) return true
    this.since = 0
    return false
  },
}

export class Connection {
  /** Held for a query that takes several exchanges, so that nothing comes between them. */
  readonly #lock = new Mutex()
  readonly #events: ConnectionEvents
  readonly #writer = new Writer()
  readonly #framer = new Framer()
  readonly #receive = Buffer.allocUnsafeSlow(RECEIVE_BYTES)
  readonly #statements = new StatementCache()
  readonly #raw = new RawState()
  /** Messages that belong to the next raw call. */
  readonly #unread: Uint8Array[] = []
  #wire!: Wire
  #exchange: Exchange | undefined
  #onNotice: ((notice: NoticeMessage) => void) | undefined
  #status = 'I'
  #ended: Error | undefined
  /** An error that nobody has asked for: why the session is about to end. */
  #lastWords: Error | undefined
  #startup!: StartupExchange
  /** So many exchanges are left to the event loop, as one was longer than this thread may wait; more of them each time. */
  #patient = 0
  #patience = 0

  private constructor(events: ConnectionEvents) {
    this.#events = events
  }

  /** Logs in. `parameters` are those of a startup packet: user, database, settings. */
  static async open(cluster: Cluster, parameters: Record<string, string>, events: ConnectionEvents): Promise<Connection> {
    const connection = new Connection(events)
    const startup = (connection.#startup = new StartupExchange())
    connection.#wire = cluster.connect(
      connection.#receive,
      (size) => connection.#received(size),
      () => connection.#end(connection.#lastWords ?? new Error('the session has ended')),
    )
    await connection.#run(startup, (writer) => writeStartup(writer, parameters))
    if (startup.error) {
      connection.close()
      throw startup.error
    }
    return connection
  }

  /** pg_backend_pid(). */
  get pid(): number {
    return this.#startup.pid
  }

  get inTransaction(): boolean {
    return this.#status !== 'I'
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** One statement by the extended protocol. */
  query(sql: string, params: any[], options: QueryOptions | undefined, codecs: Codecs): Promise<Results<any>> {
    return this.#guarded(options, async (blob) => {
      const text = replaceDevBlob(sql)
      const call: Call = { text, key: StatementCache.key(text, options?.paramTypes), params, options, codecs, blob }
      try {
        const exchange = (await this.#runKept(call)) ?? (await this.#runParsed(call))
        return this.#resultsOf(exchange, call.key)[0]
      } catch (error) {
        throw withQuery(error, sql, params, options)
      }
    })
  }

  /** Any number of statements by the simple protocol. */
  exec(sql: string, options: QueryOptions | undefined, codecs: Codecs): Promise<Results<any>[]> {
    return this.#guarded(options, async (blob) => {
      try {
        const exchange = this.#resultExchange(options, codecs, blob, undefined, false)
        await this.#run(exchange, (writer) => writeQuery(writer, replaceDevBlob(sql)))
        return this.#resultsOf(exchange)
      } catch (error) {
        throw withQuery(error, sql, undefined, options)
      }
    })
  }

  describe(sql: string, options: QueryOptions | undefined, codecs: Codecs): Promise<DescribeQueryResult> {
    return this.#guarded(options, async () => {
      try {
        const { parameterTypes, described } = await this.#describe('', sql, options, codecs)
        return {
          queryParams: parameterTypes.map((dataTypeID) => ({ dataTypeID, serializer: codecs.serializers[dataTypeID] })),
          resultFields: described.map((field) => ({ ...field, parser: codecs.parsers[field.dataTypeID] })),
        }
      } catch (error) {
        throw withQuery(error, sql, undefined, options)
      }
    })
  }

  /** Messages of the frontend as they are; each message of the answer goes to `sink`. */
  raw(messages: Uint8Array, sink: (message: Uint8Array) => void): Promise<void> {
    return this.#lock.runExclusive(async () => {
      if (messages.byteLength === 0 || messages[0] === Frontend.terminate) return
      if (messages[0] === 0) return this.#answerStartup(messages, sink)
      if (this.#ended) throw this.#ended
      for (const message of this.#unread.splice(0)) sink(message)
      if (!this.#raw.sent(messages)) return this.#sendOnly(messages)
      const exchange = new RawExchange(this.#raw, sink, (tag) => this.#statements.ran(tag.split(' ', 1)[0]))
      await this.#run(exchange, (writer) => {
        writer.raw(messages)
        if (this.#raw.needsFlush) writeFlush(writer)
      })
    })
  }

  /** Interrupts what runs, which fails with 57014; nothing happens when nothing runs. */
  cancel(): void {
    if (!this.#ended) this.#wire.cancel()
  }

  close(): void {
    if (!this.#ended) this.#end(new Error('the session is closed'))
  }

  /** The lock, a signal that cancels, a blob that is read first, and notices: around every query. */
  async #guarded<T>(options: QueryOptions | undefined, work: (blob: Uint8Array | undefined) => Promise<T>): Promise<T> {
    const signal = options?.signal
    const blob = options?.blob ? new Uint8Array(await options.blob.arrayBuffer()) : undefined
    return this.#lock.runExclusive(async () => {
      signal?.throwIfAborted()
      const cancel = () => this.cancel()
      signal?.addEventListener('abort', cancel)
      this.#onNotice = options?.onNotice
      try {
        return await work(blob)
      } finally {
        this.#onNotice = undefined
        signal?.removeEventListener('abort', cancel)
        // A cancelling that came too late must not hit the next query: it is behind us after a round trip.
        if (signal?.aborted && !this.#ended) {
          await this.#run(this.#resultExchange(undefined, { parsers: {}, serializers: {} }), writeSync).catch(() => {})
        }
      }
    })
  }

  /** By a statement that is prepared already. Nothing when there is none, or when it is no longer right and has not run. */
  async #runKept(call: Call): Promise<ResultExchange | undefined> {
    // An error would fail the transaction, so within one only what is parsed anew is safe.
    const statement = this.inTransaction ? undefined : this.#statements.get(call.key)
    if (!statement) return undefined
    const exchange = await this.#execute(call, statement)
    if (!exchange.error || exchange.bound) return exchange
    this.#statements.drop(call.key)
    return undefined
  }

  /** By parsing it; what runs for the second time is kept. */
  async #runParsed(call: Call): Promise<ResultExchange> {
    const { text, key, params, options, codecs, blob } = call
    const keep = !this.inTransaction && this.#statements.isWorthKeeping(key)
    if (!keep && params.length === 0) {
      const exchange = this.#resultExchange(options, codecs, blob)
      await this.#run(exchange, (writer) => {
        writeBind(writeParse(writer, { text, types: options?.paramTypes }), {})
        writeSync(writeExecute(writeDescribe(writer, { type: 'P' })))
      })
      return exchange
    }
    const name = keep ? this.#statements.nextName() : ''
    const { parameterTypes, described: fields } = await this.#describe(name, text, options, codecs)
    const statement = { name, parameterTypes, fields }
    if (keep) this.#statements.set(key, statement)
    return this.#execute(call, statement)
  }

  async #execute({ params, options, codecs, blob }: Call, statement: Statement): Promise<ResultExchange> {
    const values = this.#values(params, statement.parameterTypes, options, codecs)
    const exchange = this.#resultExchange(options, codecs, blob, statement.fields)
    await this.#run(exchange, (writer) => writeSync(writeExecute(writeBind(writer, { statement: statement.name, values }))))
    return exchange
  }

  async #describe(name: string, text: string, options: QueryOptions | undefined, codecs: Codecs): Promise<ResultExchange> {
    const exchange = this.#resultExchange(options, codecs)
    await this.#run(exchange, (writer) =>
      writeSync(writeDescribe(writeParse(writer, { name, text, types: options?.paramTypes }), { type: 'S', name })),
    )
    if (exchange.error) throw exchange.error
    return exchange
  }

  #resultExchange(
    options: QueryOptions | undefined,
    codecs: Codecs,
    blob?: Uint8Array,
    fields?: { name: string; dataTypeID: number }[],
    extended = true,
  ): ResultExchange {
    const parsers = mergeParsers(codecs.parsers, options?.parsers)
    const onCopyIn = () => this.#copyIn(blob, extended)
    return new ResultExchange({ parsers, rowMode: options?.rowMode, fields, onCopyIn })
  }

  /** PostgreSQL waits for the rows of a COPY. In the extended protocol it has dropped the Sync behind it. */
  #copyIn(blob: Uint8Array | undefined, extended: boolean): void {
    const writer = this.#writer
    if (!blob) writeCopyFail(writer, NO_BLOB)
    for (let at = 0; blob && at < blob.byteLength; at += COPY_CHUNK_BYTES) {
      writeCopyData(writer, blob.subarray(at, at + COPY_CHUNK_BYTES))
      this.#flush()
    }
    if (blob) writeCopyDone(writer)
    if (extended) writeSync(writer)
    this.#flush()
  }

  #values(params: any[], oids: number[], options: QueryOptions | undefined, codecs: Codecs): LegalValue[] {
    return params.map((param, index) => {
      if (param === null || param === undefined) return null
      const oid = oids[index]
      const serialize = options?.serializers?.[oid] ?? codecs.serializers[oid]
      if (!serialize) return param.toString()
      // bytea goes as it is, without the detour over hexadecimal digits.
      return serialize === types.bytea.serialize && param instanceof Uint8Array ? param : serialize(param)
    })
  }

  #resultsOf(exchange: ResultExchange, key?: string): Results<any>[] {
    for (const { command } of exchange.results) this.#statements.ran(command!, key)
    if (exchange.error) throw exchange.error
    if (exchange.failed) throw exchange.failure
    return exchange.results.length > 0 ? exchange.results : [{ affectedRows: 0, rows: [], fields: [] }]
  }

  /** Sends what `write` writes, and waits for the answer's end. One at a time. */
  #run(exchange: Exchange, write: (writer: Writer) => void): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended)
    const writer = this.#writer
    try {
      if (exchange instanceof ResultExchange) {
        for (const name of this.#statements.takeClosing()) writeClose(writer, { type: 'S', name })
      }
      write(writer)
    } catch (error) {
      writer.size = 0
      return Promise.reject(error)
    }
    this.#exchange = exchange
    this.#begin()
    return exchange.done
  }

  /** Sends messages that have no answer. */
  #sendOnly(messages: Uint8Array): void {
    this.#wire.send(messages, messages.byteLength)
    this.#wire.receive()
    this.#wire.idle()
  }

  /** Sends what was written, and lets the database run on this thread if that is likely to be answered soon. */
  #begin(): void {
    if (this.#patient > 0 || !haste.allowed(performance.now())) {
      this.#patient = Math.max(0, this.#patient - 1)
      this.#flush()
      // Not at once: the answer might be there already, and the event loop would not have had its turn.
      setImmediate(() => this.#wire.receive())
      return
    }
    const { bytes, size } = this.#writer
    this.#writer.size = 0
    const answered = this.#wire.exchange(bytes, size, QUICK_MS)
    this.#patience = answered ? 0 : Math.min(MAX_PATIENCE, 2 * this.#patience + 1)
    this.#patient = this.#patience
  }

  #flush(): void {
    this.#wire.send(this.#writer.bytes, this.#writer.size)
    this.#writer.size = 0
  }

  #received(size: number): boolean {
    try {
      this.#framer.push(this.#receive, size, this.#frame)
    } catch (error) {
      this.#end(error as Error)
    }
    return this.#exchange === undefined
  }

  #frame = (code: number, bytes: Buffer, start: number, end: number): void => {
    switch (code) {
      case Backend.notice: {
        const notice = readNotice(new Reader(bytes, start, end))
        const onNotice = this.#onNotice
        this.#events.onNotice(notice)
        // What a callback throws is its own affair, not this connection's.
        if (onNotice) queueMicrotask(() => onNotice(notice))
        break
      }
      case Backend.notification: {
        const { channel, payload } = readNotification(new Reader(bytes, start, end))
        this.#events.onNotification(channel, payload)
        break
      }
      case Backend.parameterStatus:
        if (this.#exchange instanceof StartupExchange) this.#exchange.message(code, bytes, start, end)
        break
      case Backend.readyForQuery:
        this.#status = String.fromCharCode(bytes[start])
      // fall through
      default:
        if (!this.#exchange) this.#unasked(code, bytes, start, end)
        else if (this.#exchange.message(code, bytes, start, end)) this.#finish()
        return
    }
    if (this.#exchange instanceof RawExchange) this.#exchange.pass(bytes, start - 5, end)
  }

  /** A COPY that was begun by hand has failed between two calls; or the session is about to end. */
  #unasked(code: number, bytes: Buffer, start: number, end: number): void {
    if (this.#raw.awaited.length > 0) {
      this.#raw.received(code)
      this.#unread.push(new Uint8Array(bytes.subarray(start - 5, end)))
    } else if (code === Backend.error) {
      this.#lastWords = readError(new Reader(bytes, start, end))
    }
  }

  #finish(): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#wire.idle()
    exchange?.settle()
  }

  #end(reason: Error): void {
    if (this.#ended) return
    this.#ended = reason
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#wire.close()
    exchange?.fail(reason)
  }

  /** A client of a proxy logs in: it gets what this session got. Encryption is refused, as there is no network. */
  #answerStartup(messages: Uint8Array, sink: (message: Uint8Array) => void): void {
    const REQUEST_BYTES = 8
    if (messages.byteLength === REQUEST_BYTES) sink(Uint8Array.of('N'.charCodeAt(0)))
    else for (const message of this.#startup.reply) sink(message)
  }
}

/** PostgreSQL's errors say what was run. */
function withQuery(error: unknown, query: string, params: any[] | undefined, queryOptions: QueryOptions | undefined): unknown {
  return error instanceof DatabaseError ? Object.assign(error, { query, params, queryOptions }) : error
}
