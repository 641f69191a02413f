/** The addon (`addon/`): clusters of libcalf, and connections to them as byte streams. */
declare namespace addon {
  export interface OpenOptions {
    dataDir: string
    user: string
    database: string
    password?: string
    /** A file of `saveSnapshot` to start with. */
    snapshot?: string
    /** A tar archive of a data directory to start with instead. Nobody may change it meanwhile. */
    archive?: Uint8Array
    /** Each "name=value". */
    settings: string[]
    /** Called with lines of PostgreSQL's log; does not keep the process alive. */
    log?: (line: string) => void
  }

  export interface ListenOptions {
    host?: string
    port?: number
    socketDir?: string
  }

  /** What the addon's functions fail with: libcalf's error. `code` is an SQLSTATE. */
  export interface NativeError extends Error {
    code: string
    status: string
    detail?: string
    hint?: string
  }

  export interface Cluster {
    /** Lets clients in; returns the URL. */
    listen(options: ListenOptions): string
    /**
     * A connection: bytes both ways, beginning with a startup packet. Bytes are put into `buffer`, then `onData` is
     * called with their number: it must have taken them when it returns. True: nothing more is waited for. `onEnd` is
     * called once, when the backend has closed.
     */
    connect(buffer: Uint8Array, onData: (size: number) => boolean, onEnd: () => void): Wire
    /** Saves the cluster as it is now into a file, on another thread. To be awaited before `close`. */
    saveSnapshot(file: string): Promise<void>
    /** Shuts the cluster down on another thread. */
    close(): Promise<void>
    /** The same, now, for a process that is about to exit. */
    closeNow(): void
  }

  export interface Wire {
    /**
     * Sends the first `size` bytes, and keeps the process alive until `idle` is called. What the backend does not take at
     * once is copied and sent later.
     */
    send(bytes: Uint8Array, size: number): void
    /**
     * The same, and waits for the answer while it runs the backend on this thread: until `onData` has returned true, or
     * until nothing has come for `milliseconds`. From then on bytes come by way of the event loop. Returns whether there
     * was an answer.
     */
    exchange(bytes: Uint8Array, size: number, milliseconds: number): boolean
    /** Takes what is there after `send`; from then on bytes come by way of the event loop. Not to be called in `onData`. */
    receive(): void
    /** Nothing is waited for: the process may end. */
    idle(): void
    /** Interrupts what runs. */
    cancel(): void
    close(): void
  }

  const version: string
  const postgresVersion: string
  function open(options: OpenOptions): Promise<Cluster>
}

export = addon
