/**
 * What is sent to a backend and what it answers until it is ready again. An exchange gets the messages of one answer, but
 * for those that belong to the connection (notices, notifications, parameters), and settles when it has ended.
 */
import { Backend, Reader, readError, readParameterDescription, readRowDescription } from './protocol/parser.js'
import { DatabaseError } from './protocol/messages.js'
import { Frontend } from './protocol/serialize.js'
import { type FieldDescription, RowReader } from './rows.js'
import type { ParserOptions, Results, RowMode } from './interface.js'
import type { Parser } from './types.js'

export abstract class Exchange {
  readonly done: Promise<void>
  #resolve!: () => void
  #reject!: (reason: Error) => void
  /** The first error that PostgreSQL reported. */
  error: DatabaseError | undefined

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** A message; true: the answer ends with it. `head` is where it begins, `start` and `end` enclose its body. */
  abstract message(code: number, bytes: Buffer, start: number, end: number): boolean

  settle(): void {
    this.#resolve()
  }

  /** The connection ended before the answer did. */
  fail(reason: Error): void {
    this.#reject(this.error ?? reason)
  }
}

/** The login: until the first ReadyForQuery. */
export class StartupExchange extends Exchange {
  /** Everything that was answered, as it came. */
  readonly reply: Uint8Array[] = []
  pid = 0

  message(code: number, bytes: Buffer, start: number, end: number): boolean {
    this.reply.push(new Uint8Array(bytes.subarray(start - 5, end)))
    if (code === Backend.error) this.error = readError(new Reader(bytes, start, end))
    else if (code === Backend.backendKeyData) this.pid = bytes.readInt32BE(start)
    else if (code === Backend.authentication && bytes.readInt32BE(start) !== 0) {
      this.error = new DatabaseError('the server asks for a password', end - start + 4, 'error')
      return true
    }
    return code === Backend.readyForQuery
  }
}

export interface ResultOptions {
  parsers: Record<number | string, Parser>
  rowMode?: RowMode
  /** What is known of the columns before, for a statement that was described already. */
  fields?: FieldDescription[]
  /** Answers CopyInResponse. */
  onCopyIn: () => void
}

/** The answer to statements: results with parsed rows. Ends with ReadyForQuery. */
export class ResultExchange extends Exchange {
  readonly results: Results<any>[] = []
  /** OIDs of the parameters, if they were asked for. */
  parameterTypes: number[] = []
  /** The columns that were described, if any. */
  described: FieldDescription[] = []
  /** Parameters and plan were accepted: what failed after this has failed while it ran. */
  bound = false
  /** What a parser threw: the rest of the rows are not looked at. */
  failure: unknown
  #failed = false
  #options: ResultOptions
  #fields: FieldDescription[] = []
  #reader: RowReader | undefined
  #rows: any[] = []
  #affected = 0
  #copied: Uint8Array[] | undefined

  constructor(options: ResultOptions) {
    super()
    this.#options = options
    if (options.fields) this.#describe(options.fields)
  }

  message(code: number, bytes: Buffer, start: number, end: number): boolean {
    switch (code) {
      case Backend.dataRow:
        this.#row(bytes, start)
        break
      case Backend.bindComplete:
        this.bound = true
        break
      case Backend.commandComplete:
        this.#complete(new Reader(bytes, start, end).cstring())
        break
      case Backend.rowDescription: {
        const { fields } = readRowDescription(new Reader(bytes, start, end))
        this.described = fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }))
        this.#describe(this.described)
        break
      }
      case Backend.parameterDescription:
        this.parameterTypes = readParameterDescription(new Reader(bytes, start, end)).dataTypeIDs
        break
      case Backend.error:
        this.error ??= readError(new Reader(bytes, start, end))
        break
      case Backend.copyInResponse:
        this.#options.onCopyIn()
        break
      case Backend.copyOutResponse:
        this.#copied = []
        break
      case Backend.copyData:
        this.#copied?.push(new Uint8Array(bytes.subarray(start, end)))
        break
      case Backend.readyForQuery:
        return true
    }
    return false
  }

  #describe(fields: FieldDescription[]): void {
    this.#fields = fields
    this.#reader = new RowReader(fields, this.#options.parsers, this.#options.rowMode)
  }

  #row(bytes: Buffer, start: number): void {
    if (this.#failed) return
    try {
      this.#rows.push(this.#reader!.read(bytes, start))
    } catch (failure) {
      this.#failed = true
      this.failure = failure
    }
  }

  get failed(): boolean {
    return this.#failed
  }

  /** `tag` is "SELECT 2", "INSERT 0 5", "CREATE TABLE", …: a number at the end counts rows. */
  #complete(tag: string): void {
    const command = tag.slice(0, (tag + ' ').indexOf(' '))
    const rowCount = parseInt(tag.slice(tag.lastIndexOf(' ') + 1), 10)
    if (countingCommands.has(command)) this.#affected += rowCount
    const fields = this.#fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }))
    const result: Results<any> = { rows: this.#rows, fields, command, affectedRows: this.#affected }
    if (!Number.isNaN(rowCount)) result.rowCount = rowCount
    if (this.#copied) result.blob = new Blob(this.#copied as BlobPart[])
    this.results.push(result)
    this.#rows = []
    this.#fields = []
    this.#copied = undefined
  }
}

const countingCommands = new Set(['INSERT', 'UPDATE', 'DELETE', 'COPY', 'MERGE'])

export const mergeParsers = (
  own: Record<number | string, Parser>,
  custom: ParserOptions | undefined,
): Record<number | string, Parser> => (custom ? { ...own, ...custom } : own)

/** What an answer to a message of the frontend ends with. */
const enum Awaited {
  parse = Backend.parseComplete,
  bind = Backend.bindComplete,
  close = Backend.closeComplete,
  /** RowDescription or NoData. */
  describe = Backend.rowDescription,
  /** CommandComplete, EmptyQueryResponse or PortalSuspended. */
  execute = Backend.commandComplete,
  ready = Backend.readyForQuery,
}

const awaitedAfter: Record<number, Awaited> = {
  [Frontend.parse]: Awaited.parse,
  [Frontend.bind]: Awaited.bind,
  [Frontend.close]: Awaited.close,
  [Frontend.describe]: Awaited.describe,
  [Frontend.execute]: Awaited.execute,
  [Frontend.query]: Awaited.ready,
  [Frontend.functionCall]: Awaited.ready,
  [Frontend.sync]: Awaited.ready,
}

/** What a session still owes to messages that were sent raw, from one call to the next. */
export class RawState {
  awaited: Awaited[] = []
  /** After an error in the extended protocol PostgreSQL drops everything until Sync. */
  skipping = false
  copyingIn = false
  /** PostgreSQL keeps the answer to what was sent last until it is told to flush. */
  needsFlush = false

  /** Takes note of messages that are about to be sent. True: there will be an answer to wait for. */
  sent(messages: Uint8Array): boolean {
    const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength)
    let ends = !this.copyingIn
    for (let at = 0; at < messages.byteLength; ) {
      if (messages.byteLength - at < 5) throw new Error('execProtocol: the last message is cut off')
      const code = messages[at]
      const length = view.getUint32(at + 1)
      if (length < 4 || at + 1 + length > messages.byteLength) throw new Error('execProtocol: a message has a wrong length')
      at += 1 + length
      if (code === Frontend.copyDone || code === Frontend.copyFail) {
        ends = true
        this.copyingIn = false
      } else if (!this.copyingIn && !(this.skipping && code !== Frontend.sync)) {
        if (code === Frontend.sync) this.skipping = false
        const awaited = awaitedAfter[code]
        if (awaited !== undefined) this.awaited.push(awaited)
      }
      this.needsFlush = !this.copyingIn && awaitedAfter[code] !== Awaited.ready
    }
    return ends && this.awaited.length > 0
  }

  /** A message has come. True: nothing more will, until something is sent. */
  received(code: number): boolean {
    if (code === Backend.error) return this.#failed()
    if (code === Backend.copyInResponse) {
      this.copyingIn = true
      // Messages behind the one that began the COPY are dropped.
      this.awaited.length = Math.min(this.awaited.length, 1)
      return true
    }
    const next = this.awaited[0]
    const fits =
      code === next ||
      (next === Awaited.describe && code === Backend.noData) ||
      (next === Awaited.execute && (code === Backend.emptyQuery || code === Backend.portalSuspended))
    if (fits) this.awaited.shift()
    return fits && this.awaited.length === 0
  }

  #failed(): boolean {
    this.copyingIn = false
    const ready = this.awaited.indexOf(Awaited.ready)
    this.skipping = ready < 0
    this.awaited.splice(0, ready < 0 ? this.awaited.length : ready)
    return this.skipping
  }
}

/** Raw messages: hands the answer over as it comes, message by message. */
export class RawExchange extends Exchange {
  #state: RawState
  #sink: (message: Uint8Array) => void
  #onTag: (tag: string) => void

  constructor(state: RawState, sink: (message: Uint8Array) => void, onTag: (tag: string) => void) {
    super()
    this.#state = state
    this.#sink = sink
    this.#onTag = onTag
  }

  message(code: number, bytes: Buffer, start: number, end: number): boolean {
    this.pass(bytes, start - 5, end)
    if (code === Backend.commandComplete) this.#onTag(new Reader(bytes, start, end).cstring())
    return this.#state.received(code)
  }

  /** Hands a message over that the connection has looked at itself. */
  pass(bytes: Buffer, from: number, to: number): void {
    this.#sink(new Uint8Array(bytes.subarray(from, to)))
  }
}
