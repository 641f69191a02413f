/** The messages that a client sends, each as bytes of its own ("Message Formats" in PostgreSQL's documentation). */
import { Writer } from './writer.js'

export const enum Frontend {
  bind = 0x42,
  close = 0x43,
  describe = 0x44,
  execute = 0x45,
  functionCall = 0x46,
  flush = 0x48,
  parse = 0x50,
  query = 0x51,
  sync = 0x53,
  terminate = 0x58,
  copyDone = 0x63,
  copyData = 0x64,
  copyFail = 0x66,
  password = 0x70,
}

export type LegalValue = string | ArrayBuffer | ArrayBufferView | null
export type ParseOpts = { name?: string; types?: number[]; text: string }
export type ValueMapper = (param: unknown, index: number) => LegalValue
export type BindOpts = {
  portal?: string
  /** Results in binary format. */
  binary?: boolean
  statement?: string
  values?: LegalValue[]
  valueMapper?: ValueMapper
}
export type ExecOpts = { portal?: string; rows?: number }
export type PortalOpts = { type: 'S' | 'P'; name?: string }

const PROTOCOL_3_0 = 196608
const SSL_REQUEST = 80877103
const CANCEL_REQUEST = 80877102
const MAX_PARAMETERS = 65535

const bytesOf = (value: ArrayBuffer | ArrayBufferView): Uint8Array =>
  ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value)

export function writeStartup(writer: Writer, parameters: Record<string, string>): Writer {
  writer.begin(0).int32(PROTOCOL_3_0)
  for (const [name, value] of Object.entries(parameters)) writer.cstring(name).cstring(value)
  return writer.cstring('client_encoding').cstring('UTF8').byte(0).end()
}

export function writeParse(writer: Writer, { name = '', types = [], text }: ParseOpts): Writer {
  writer.begin(Frontend.parse).cstring(name).cstring(text).int16(types.length)
  for (const type of types) writer.int32(type)
  return writer.end()
}

export function writeBind(writer: Writer, options: BindOpts): Writer {
  const { portal = '', statement = '', values = [], valueMapper, binary = false } = options
  if (values.length > MAX_PARAMETERS) throw new Error(`a statement has at most ${MAX_PARAMETERS} parameters, not ${values.length}`)
  const mapped = valueMapper ? values.map(valueMapper) : values
  writer.begin(Frontend.bind).cstring(portal).cstring(statement)
  if (mapped.every((value) => typeof value === 'string' || value === null)) {
    writer.int16(0)
  } else {
    writer.int16(mapped.length)
    for (const value of mapped) writer.int16(typeof value === 'string' || value === null ? 0 : 1)
  }
  writer.int16(mapped.length)
  for (const value of mapped) {
    if (value === null) writer.int32(-1)
    else if (typeof value === 'string') writer.sizedText(value)
    else writer.int32(value.byteLength).raw(bytesOf(value))
  }
  return binary ? writer.int16(1).int16(1).end() : writer.int16(0).end()
}

export const writeDescribe = (writer: Writer, { type, name = '' }: PortalOpts): Writer =>
  writer.begin(Frontend.describe).byte(type.charCodeAt(0)).cstring(name).end()

export const writeClose = (writer: Writer, { type, name = '' }: PortalOpts): Writer =>
  writer.begin(Frontend.close).byte(type.charCodeAt(0)).cstring(name).end()

export const writeExecute = (writer: Writer, { portal = '', rows = 0 }: ExecOpts = {}): Writer =>
  writer.begin(Frontend.execute).cstring(portal).int32(rows).end()

export const writeQuery = (writer: Writer, text: string): Writer => writer.begin(Frontend.query).cstring(text).end()
export const writeSync = (writer: Writer): Writer => writer.begin(Frontend.sync).end()
export const writeFlush = (writer: Writer): Writer => writer.begin(Frontend.flush).end()
export const writeCopyData = (writer: Writer, data: Uint8Array): Writer => writer.begin(Frontend.copyData).raw(data).end()
export const writeCopyDone = (writer: Writer): Writer => writer.begin(Frontend.copyDone).end()
export const writeCopyFail = (writer: Writer, message: string): Writer =>
  writer.begin(Frontend.copyFail).cstring(message).end()

const shared = new Writer()

export const serialize = {
  startup: (parameters: Record<string, string>): Uint8Array => writeStartup(shared, parameters).take(),
  password: (password: string): Uint8Array => shared.begin(Frontend.password).cstring(password).end().take(),
  requestSsl: (): Uint8Array => shared.begin(0).int32(SSL_REQUEST).end().take(),
  sendSASLInitialResponseMessage: (mechanism: string, response: string): Uint8Array =>
    shared.begin(Frontend.password).cstring(mechanism).sizedText(response).end().take(),
  sendSCRAMClientFinalMessage: (data: string): Uint8Array => shared.begin(Frontend.password).text(data).end().take(),
  query: (text: string): Uint8Array => writeQuery(shared, text).take(),
  parse: (options: ParseOpts): Uint8Array => writeParse(shared, options).take(),
  bind: (options: BindOpts = {}): Uint8Array => writeBind(shared, options).take(),
  execute: (options?: ExecOpts): Uint8Array => writeExecute(shared, options).take(),
  describe: (options: PortalOpts): Uint8Array => writeDescribe(shared, options).take(),
  close: (options: PortalOpts): Uint8Array => writeClose(shared, options).take(),
  flush: (): Uint8Array => writeFlush(shared).take(),
  sync: (): Uint8Array => writeSync(shared).take(),
  end: (): Uint8Array => shared.begin(Frontend.terminate).end().take(),
  copyData: (chunk: ArrayBuffer | ArrayBufferView): Uint8Array => writeCopyData(shared, bytesOf(chunk)).take(),
  copyDone: (): Uint8Array => writeCopyDone(shared).take(),
  copyFail: (message: string): Uint8Array => writeCopyFail(shared, message).take(),
  cancel: (processID: number, secretKey: number): Uint8Array =>
    shared.begin(0).int32(CANCEL_REQUEST).int32(processID).int32(secretKey).end().take(),
}
