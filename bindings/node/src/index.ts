/** The package `calf`. `PGlite` is another name for `Calf`, so that only the import has to change. */
export { Calf, Calf as PGlite, type ConnectionStringOptions } from './calf.js'
export { Session, type SessionOptions } from './session.js'
export { Mutex, type MutexInterface } from './mutex.js'
export { formatQuery } from './utils.js'
export type * from './interface.js'
export * as types from './types.js'
export * as messages from './protocol/messages.js'
export * as protocol from './protocol/index.js'
