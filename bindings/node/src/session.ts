/** Further sessions of a database: each with transactions, settings, temporary tables and notifications of its own. */
import { BaseCalf } from './base.js'
import type { Connection } from './connection.js'
import type { ParserOptions, SerializerOptions } from './interface.js'

export interface SessionOptions {
  /** Default: those of the database's own session. */
  username?: string
  database?: string
  /** Settings of PostgreSQL for this session. */
  settings?: Record<string, string | number | boolean>
  parsers?: ParserOptions
  serializers?: SerializerOptions
}

export class Session extends BaseCalf implements AsyncDisposable {
  #connection: Connection | undefined
  #onClose: (session: Session) => void
  #closed = false

  /** @internal Use `calf.session()`. */
  constructor(options: ConstructorParameters<typeof BaseCalf>[0], onClose: (session: Session) => void) {
    super(options)
    this.#onClose = onClose
  }

  /** @internal */
  _connected(connection: Connection): void {
    this.#connection = connection
  }

  /** pg_backend_pid(). */
  get pid(): number {
    return this.#connection!.pid
  }

  get closed(): boolean {
    return this.#closed || this.#connection!.ended
  }

  /** Ends the session when what was called before has ended; an open transaction is rolled back. */
  async close(): Promise<void> {
    if (this.#closed) return
    await this._runLast(async () => this._closeNow())
  }

  /** @internal */
  _closeNow(): void {
    this.#closed = true
    this.#connection!.close()
    this.#onClose(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async _ready(): Promise<Connection> {
    if (this.closed) throw new Error('the session is closed')
    return this.#connection!
  }

  _connectionNow(): Connection | undefined {
    return this.#connection
  }
}
