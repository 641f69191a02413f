/** Reads the messages that PostgreSQL sends: bytes, cut anywhere, in; objects out. */
import * as messages from './messages.js'
import type { BackendMessage, Mode, NoticeOrError } from './messages.js'

export const enum Backend {
  parseComplete = 0x31,
  bindComplete = 0x32,
  closeComplete = 0x33,
  notification = 0x41,
  commandComplete = 0x43,
  dataRow = 0x44,
  error = 0x45,
  copyInResponse = 0x47,
  copyOutResponse = 0x48,
  emptyQuery = 0x49,
  backendKeyData = 0x4b,
  notice = 0x4e,
  authentication = 0x52,
  parameterStatus = 0x53,
  rowDescription = 0x54,
  functionCallResponse = 0x56,
  replicationStart = 0x57,
  readyForQuery = 0x5a,
  copyDone = 0x63,
  copyData = 0x64,
  noData = 0x6e,
  portalSuspended = 0x73,
  parameterDescription = 0x74,
}

const SHORT = 24

/** UTF-8 text of a part of `bytes`. */
export function textAt(bytes: Buffer, start: number, end: number): string {
  if (end - start > SHORT) return bytes.toString('utf8', start, end)
  // The call into the engine costs more than a loop over a short ASCII text.
  let text = ''
  for (let at = start; at < end; at++) {
    const unit = bytes[at]
    if (unit >= 0x80) return bytes.toString('utf8', start, end)
    text += String.fromCharCode(unit)
  }
  return text
}

/** A cursor over the body of one message. A body that is shorter than it says is an error. */
export class Reader {
  constructor(
    readonly bytes: Buffer,
    public at: number,
    readonly end: number,
  ) {}

  byte(): number {
    return this.bytes[this.#advance(1)]
  }

  int16(): number {
    return this.bytes.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.bytes.readInt32BE(this.#advance(4))
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.#advance(4))
  }

  cstring(): string {
    const zero = this.bytes.indexOf(0, this.at)
    if (zero < 0 || zero >= this.end) throw new Error('malformed message: a string has no end')
    const text = textAt(this.bytes, this.at, zero)
    this.at = zero + 1
    return text
  }

  /** A copy. */
  take(size: number): Uint8Array {
    const from = this.#advance(size)
    return new Uint8Array(this.bytes.subarray(from, from + size))
  }

  text(size: number): string {
    const from = this.#advance(size)
    return textAt(this.bytes, from, from + size)
  }

  get left(): number {
    return this.end - this.at
  }

  #advance(size: number): number {
    const from = this.at
    if (size < 0 || from + size > this.end) throw new Error('malformed message: it is shorter than its content')
    this.at = from + size
    return from
  }
}

const fieldNames: Record<string, keyof NoticeOrError> = {
  S: 'severity',
  C: 'code',
  D: 'detail',
  H: 'hint',
  P: 'position',
  p: 'internalPosition',
  q: 'internalQuery',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  d: 'dataType',
  n: 'constraint',
  F: 'file',
  L: 'line',
  R: 'routine',
}

function report<Report extends NoticeOrError>(reader: Reader, make: (message: string) => Report): Report {
  const found: Record<string, string> = {}
  for (let type = reader.byte(); type !== 0; type = reader.byte()) found[String.fromCharCode(type)] = reader.cstring()
  const result = make(found.M)
  for (const [type, name] of Object.entries(fieldNames)) (result as NoticeOrError)[name] = found[type]
  return result
}

export const readError = (reader: Reader): messages.DatabaseError => {
  const length = reader.left + 4
  return report(reader, (text) => new messages.DatabaseError(text, length, 'error'))
}

export const readNotice = (reader: Reader): messages.NoticeMessage => {
  const length = reader.left + 4
  return report(reader, (text) => new messages.NoticeMessage(length, text))
}

export function readRowDescription(reader: Reader): messages.RowDescriptionMessage {
  const message = new messages.RowDescriptionMessage(reader.left + 4, reader.int16())
  for (let index = 0; index < message.fieldCount; index++) {
    message.fields[index] = new messages.Field(
      reader.cstring(),
      reader.uint32(),
      reader.int16(),
      reader.uint32(),
      reader.int16(),
      reader.int32(),
      reader.int16() as Mode,
    )
  }
  return message
}

export function readParameterDescription(reader: Reader): messages.ParameterDescriptionMessage {
  const message = new messages.ParameterDescriptionMessage(reader.left + 4, reader.int16() & 0xffff)
  for (let index = 0; index < message.parameterCount; index++) message.dataTypeIDs[index] = reader.uint32()
  return message
}

export const readNotification = (reader: Reader): messages.NotificationResponseMessage =>
  new messages.NotificationResponseMessage(reader.left + 4, reader.int32(), reader.cstring(), reader.cstring())

export const readParameterStatus = (reader: Reader): messages.ParameterStatusMessage =>
  new messages.ParameterStatusMessage(reader.left + 4, reader.cstring(), reader.cstring())

function readDataRow(reader: Reader): messages.DataRowMessage {
  const length = reader.left + 4
  const fields: (string | null)[] = new Array(reader.int16())
  for (let index = 0; index < fields.length; index++) {
    const size = reader.int32()
    fields[index] = size < 0 ? null : reader.text(size)
  }
  return new messages.DataRowMessage(length, fields)
}

function readCopyResponse(reader: Reader, name: messages.MessageName): messages.CopyResponse {
  const message = new messages.CopyResponse(reader.left + 4, name, reader.byte() !== 0, reader.int16())
  for (let index = 0; index < message.columnTypes.length; index++) message.columnTypes[index] = reader.int16()
  return message
}

function readAuthentication(reader: Reader): messages.AuthenticationMessage {
  const length = reader.left + 4
  const kind = reader.int32()
  switch (kind) {
    case 0:
      return new messages.AuthenticationOk(length)
    case 3:
      return new messages.AuthenticationCleartextPassword(length)
    case 5:
      return new messages.AuthenticationMD5Password(length, reader.take(4))
    case 10: {
      const mechanisms: string[] = []
      for (let name = reader.cstring(); name !== ''; name = reader.cstring()) mechanisms.push(name)
      return new messages.AuthenticationSASL(length, mechanisms)
    }
    case 11:
      return new messages.AuthenticationSASLContinue(length, reader.text(reader.left))
    case 12:
      return new messages.AuthenticationSASLFinal(length, reader.text(reader.left))
    default:
      throw new Error(`unknown kind of authentication: ${kind}`)
  }
}

/** One message; `code` is its type byte, the reader stands at its body. */
export function readMessage(code: number, reader: Reader): BackendMessage {
  const length = reader.left + 4
  switch (code) {
    case Backend.parseComplete:
      return messages.parseComplete
    case Backend.bindComplete:
      return messages.bindComplete
    case Backend.closeComplete:
      return messages.closeComplete
    case Backend.noData:
      return messages.noData
    case Backend.portalSuspended:
      return messages.portalSuspended
    case Backend.copyDone:
      return messages.copyDone
    case Backend.replicationStart:
      return messages.replicationStart
    case Backend.emptyQuery:
      return messages.emptyQuery
    case Backend.dataRow:
      return readDataRow(reader)
    case Backend.commandComplete:
      return new messages.CommandCompleteMessage(length, reader.cstring())
    case Backend.readyForQuery:
      return new messages.ReadyForQueryMessage(length, reader.text(1))
    case Backend.notification:
      return readNotification(reader)
    case Backend.authentication:
      return readAuthentication(reader)
    case Backend.parameterStatus:
      return readParameterStatus(reader)
    case Backend.backendKeyData:
      return new messages.BackendKeyDataMessage(length, reader.int32(), reader.int32())
    case Backend.error:
      return readError(reader)
    case Backend.notice:
      return readNotice(reader)
    case Backend.rowDescription:
      return readRowDescription(reader)
    case Backend.parameterDescription:
      return readParameterDescription(reader)
    case Backend.copyInResponse:
      return readCopyResponse(reader, 'copyInResponse')
    case Backend.copyOutResponse:
      return readCopyResponse(reader, 'copyOutResponse')
    case Backend.copyData:
      return new messages.CopyDataMessage(length, reader.take(reader.left))
    default:
      return new messages.DatabaseError(`received invalid response: ${code.toString(16)}`, length, 'error')
  }
}

const HEADER = 5

/**
 * Cuts a stream of bytes into messages. `frame` gets the type byte and where the body lies; the bytes are only valid
 * during the call, for the source may use them again.
 */
export class Framer {
  #rest = Buffer.alloc(0)
  #restSize = 0

  push(bytes: Buffer, size: number, frame: (code: number, bytes: Buffer, start: number, end: number) => void): void {
    if (this.#restSize > 0) {
      this.#keep(bytes, 0, size)
      bytes = this.#rest
      size = this.#restSize
    }
    let at = 0
    while (size - at >= HEADER) {
      const length = bytes.readUInt32BE(at + 1)
      if (length < 4) throw new Error('malformed message: its length is too small')
      const end = at + 1 + length
      if (end > size) break
      frame(bytes[at], bytes, at + HEADER, end)
      at = end
    }
    if (bytes === this.#rest) {
      this.#rest.copyWithin(0, at, size)
      this.#restSize = size - at
    } else if (at < size) {
      this.#keep(bytes, at, size)
    }
    // What one very long message has needed is not kept for ever.
    if (this.#restSize === 0 && this.#rest.length > 1 << 20) this.#rest = Buffer.alloc(0)
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const needed = this.#restSize + to - from
    if (needed > this.#rest.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#rest.length * 2))
      this.#rest.copy(larger, 0, 0, this.#restSize)
      this.#rest = larger
    }
    bytes.copy(this.#rest, this.#restSize, from, to)
    this.#restSize = needed
  }
}

export type MessageCallback = (message: BackendMessage) => void

/** The public reader of bytes that `execProtocolRaw` returned. */
export class Parser {
  #framer = new Framer()

  parse(buffer: ArrayBuffer | ArrayBufferView, callback: MessageCallback): void {
    const bytes = ArrayBuffer.isView(buffer)
      ? Buffer.from(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength)
      : Buffer.from(buffer)
    this.#framer.push(bytes, bytes.length, (code, source, start, end) => callback(readMessage(code, new Reader(source, start, end))))
  }
}
