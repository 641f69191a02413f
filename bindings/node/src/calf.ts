/** The database: a cluster of libcalf in this process, with a session that has PGlite's API. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import addon, { type Cluster } from './addon.cjs'
import { BaseCalf } from './base.js'
import { Connection } from './connection.js'
import { dump, load } from './datadir.js'
import type {
  CalfOptions,
  DumpTarCompressionOptions,
  Extensions,
  ParserOptions,
  PGliteInterface,
  PGliteInterfaceExtensions,
  SerializerOptions,
} from './interface.js'
import { Session, type SessionOptions } from './session.js'
import { settingsOf } from './settings.js'

export interface ConnectionStringOptions {
  /**
   * A TCP address instead of a Unix socket in a private directory. Whoever reaches it may log in, unless the database was
   * opened with a `password`.
   */
  host?: string
  /** Default: a free one. */
  port?: number
}

/** What has to be undone if the process exits without `close`. */
interface Opened {
  cluster: Cluster
  directories: string[]
}
const opened = new Set<Opened>()
let exitIsHandled = false

function closeAllNow(): void {
  for (const { cluster, directories } of opened) {
    cluster.closeNow()
    removeAll(directories)
  }
  opened.clear()
}

function removeAll(directories: string[]): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
}

/** `memory://…` as it is, `file://path` and paths as absolute paths. */
function locationOf(dataDir: string | undefined): { memory: boolean; path: string } {
  if (!dataDir || dataDir.startsWith('memory://')) return { memory: true, path: dataDir || 'memory://' }
  const [, scheme, path] = /^(?:([a-z][a-z0-9+-]*):\/\/)?(.*)$/s.exec(dataDir)!
  if (scheme && scheme !== 'file') throw new Error(`${scheme}:// is for browsers: use a path, file://path or memory://`)
  if (!path) throw new Error('Invalid dataDir, must be a valid path')
  return { memory: false, path: resolve(path) }
}

export class Calf extends BaseCalf implements AsyncDisposable {
  readonly dataDir?: string
  readonly waitReady: Promise<void>
  #options: CalfOptions
  #extensionsClose: Array<() => Promise<void>> = []
  #sessions = new Set<Session>()
  #opened: Opened | undefined
  #connection: Connection | undefined
  #socketUrl: string | undefined
  #ready = false
  #closing = false
  #closed = false

  /** Opens a database; what is called before it is ready waits. `dataDir`: `memory://` (the default), or a path. */
  constructor(dataDir?: string, options?: CalfOptions)
  constructor(options?: CalfOptions)
  constructor(dataDirOrOptions: string | CalfOptions = {}, more: CalfOptions = {}) {
    const options = typeof dataDirOrOptions === 'string' ? { dataDir: dataDirOrOptions, ...more } : dataDirOrOptions
    super(options)
    this.#options = options
    this.dataDir = options.dataDir
    this.waitReady = this.#open(options)
  }

  /** The same, resolved when the database is ready. The instance's type has the extensions' namespaces. */
  static async create<O extends CalfOptions>(options?: O): Promise<Calf & PGliteInterfaceExtensions<O['extensions']>>
  static async create<O extends CalfOptions>(
    dataDir?: string,
    options?: O,
  ): Promise<Calf & PGliteInterfaceExtensions<O['extensions']>>
  static async create(dataDirOrOptions?: string | CalfOptions, options?: CalfOptions): Promise<any> {
    const calf =
      typeof dataDirOrOptions === 'string' ? new Calf(dataDirOrOptions, options) : new Calf(dataDirOrOptions ?? options)
    await calf.waitReady
    return calf
  }

  get ready(): boolean {
    return this.#ready && !this.#closing && !this.#closed
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A further session, which runs concurrently with the others. */
  async session(options: SessionOptions = {}): Promise<Session> {
    await this._ready()
    const session = new Session(
      {
        parsers: { ...this.parsers, ...options.parsers } as ParserOptions,
        serializers: { ...this.serializers, ...options.serializers } as SerializerOptions,
        debug: this.debug,
      },
      (closed) => this.#sessions.delete(closed),
    )
    session._connected(await this.#connect(session, options))
    this.#sessions.add(session)
    return session
  }

  /**
   * A URL for drivers and ORMs, in this process or another one: `postgresql://…`. Listens from the first call on until the
   * database is closed, which does not keep the process alive. Without `host` it is a Unix socket that only this user can
   * reach.
   */
  async connectionString(options: ConnectionStringOptions = {}): Promise<string> {
    await this._ready()
    const { cluster, directories } = this.#opened!
    if (options.host !== undefined) return cluster.listen({ host: options.host, port: options.port ?? 0 })
    if (this.#socketUrl) return this.#socketUrl
    const socketDir = mkdtempSync(join(tmpdir(), 'calf-'))
    directories.push(socketDir)
    return (this.#socketUrl = cluster.listen({ socketDir, port: options.port ?? 0 }))
  }

  /** The data directory as a tar archive, for `loadDataDir`; other sessions may go on meanwhile. */
  async dumpDataDir(compression?: DumpTarCompressionOptions): Promise<File | Blob> {
    await this._ready()
    return this.runExclusive(async () => {
      const session = await this.session({ username: 'postgres' })
      try {
        const name = this.dataDir?.split('/').pop() || 'pgdata'
        return await dump((sql, params) => session.query(sql, params), name, compression)
      } finally {
        await session.close()
      }
    })
  }

  /**
   * The whole cluster as it is now in one compressed, checksummed file, for the option `snapshot`; other sessions may go on
   * meanwhile. A file that is there is replaced in one step.
   */
  async saveSnapshot(file: string): Promise<void> {
    await this._ready()
    await this.runExclusive(() => this.#opened!.cluster.saveSnapshot(resolve(file)))
  }

  /** A copy of the whole database, in memory. */
  async clone(): Promise<PGliteInterface> {
    await this._ready()
    const { directories } = this.#opened!
    const directory = mkdtempSync(join(tmpdir(), 'calf-'))
    directories.push(directory)
    try {
      const snapshot = join(directory, 'snapshot')
      await this.saveSnapshot(snapshot)
      const { extensions } = this.#options
      return (await Calf.create({ snapshot, extensions })) as unknown as PGliteInterface
    } finally {
      const at = directories.indexOf(directory)
      if (at >= 0) removeAll(directories.splice(at, 1))
    }
  }

  /** Every commit is already where PostgreSQL's settings want it: there is nothing to do. */
  async syncToFs(): Promise<void> {
    await this._ready()
  }

  /** Waits for what was called before, then ends all sessions and shuts down. */
  async close(): Promise<void> {
    await this._ready()
    await this._runLast(async () => {
      await this._ready()
      this.#closing = true
    })
    for (const close of this.#extensionsClose) await close()
    for (const session of this.#sessions) session._closeNow()
    this.#connection!.close()
    const { cluster, directories } = this.#opened!
    try {
      await cluster.close()
    } finally {
      opened.delete(this.#opened!)
      removeAll(directories)
      this.#closed = true
      this.#closing = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async _ready(): Promise<Connection> {
    if (this.#closing) throw new Error('Calf is closing')
    if (this.#closed) throw new Error('Calf is closed')
    if (!this.#connection) await this.waitReady
    return this.#connection!
  }

  _connectionNow(): Connection | undefined {
    return this.#connection
  }

  async #open(options: CalfOptions): Promise<void> {
    const location = locationOf(options.dataDir)
    const directories: string[] = []
    const preload: string[] = []
    const inits = await this.#setUpExtensions(options.extensions ?? {}, preload)
    const settings = settingsOf(options, preload)
    try {
      const archive = options.loadDataDir && (await load(options.loadDataDir, location.memory ? undefined : location.path))
      const { username: user = 'postgres', database = 'postgres', password } = options
      const snapshot = options.snapshot && resolve(options.snapshot)
      const log = this.#logger(options)
      const cluster = await addon.open({ dataDir: location.path, user, database, password, snapshot, archive, settings, log })
      if (!exitIsHandled) process.on('exit', closeAllNow)
      exitIsHandled = true
      opened.add((this.#opened = { cluster, directories }))
      this.#connection = await this.#connect(this, {})
    } catch (error) {
      if (this.#opened) {
        opened.delete(this.#opened)
        await this.#opened.cluster.close()
      }
      removeAll(directories)
      throw error
    }
    this.#ready = true
    // A fresh database has no types but those that are known.
    if (options.loadDataDir || options.snapshot || !location.memory) await this._loadArrayTypes()
    for (const init of inits) await init()
  }

  /** Names on the instance come from extensions written in JavaScript; PostgreSQL's own need nothing. */
  async #setUpExtensions(extensions: Extensions, preload: string[]): Promise<Array<() => Promise<void>>> {
    const inits: Array<() => Promise<void>> = []
    for (const [name, extension] of Object.entries(extensions)) {
      if (extension instanceof URL) continue
      const result = await extension.setup(this as unknown as PGliteInterface, {})
      if (result.namespaceObj) Object.assign(this, { [name]: result.namespaceObj })
      if (result.init) inits.push(result.init)
      if (result.close) this.#extensionsClose.push(result.close)
      preload.push(...(result.sharedPreloadLibraries ?? []))
    }
    return inits
  }

  #connect(target: BaseCalf, { username, database, settings = {} }: SessionOptions): Promise<Connection> {
    const parameters: Record<string, string> = {
      user: username ?? this.#options.username ?? 'postgres',
      database: database ?? this.#options.database ?? 'postgres',
    }
    for (const [name, value] of Object.entries(settings)) parameters[name] = String(value)
    return Connection.open(this.#opened!.cluster, parameters, {
      onNotification: (channel, payload) => target._notified(channel, payload),
      onNotice: (notice) => target._noticed(notice),
    })
  }

  #logger({ debug = 0, onStderr }: CalfOptions): ((line: string) => void) | undefined {
    if (debug === 0 && !onStderr) return undefined
    return (line) => {
      const wanted = onStderr ? onStderr(line) : true
      if (wanted && debug > 0) console.error(line)
    }
  }
}
