/** PostgreSQL's wire protocol, for those who use `execProtocol` themselves. */
export * as messages from './messages.js'
export { Parser, type MessageCallback } from './parser.js'
export { serialize } from './serialize.js'
