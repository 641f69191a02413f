/** The messages that PostgreSQL sends, as objects ("Message Formats" in PostgreSQL's documentation). */

export type Mode = 0 | 1

export type MessageName =
  | 'parseComplete'
  | 'bindComplete'
  | 'closeComplete'
  | 'noData'
  | 'portalSuspended'
  | 'replicationStart'
  | 'emptyQuery'
  | 'copyDone'
  | 'copyData'
  | 'rowDescription'
  | 'parameterDescription'
  | 'parameterStatus'
  | 'backendKeyData'
  | 'notification'
  | 'readyForQuery'
  | 'commandComplete'
  | 'dataRow'
  | 'copyInResponse'
  | 'copyOutResponse'
  | 'authenticationOk'
  | 'authenticationMD5Password'
  | 'authenticationCleartextPassword'
  | 'authenticationSASL'
  | 'authenticationSASLContinue'
  | 'authenticationSASLFinal'
  | 'error'
  | 'notice'

/** `length` is the message's own: without its type byte, with the length field. */
export type BackendMessage = { name: MessageName; length: number }

export const parseComplete: BackendMessage = { name: 'parseComplete', length: 5 }
export const bindComplete: BackendMessage = { name: 'bindComplete', length: 5 }
export const closeComplete: BackendMessage = { name: 'closeComplete', length: 5 }
export const noData: BackendMessage = { name: 'noData', length: 5 }
export const portalSuspended: BackendMessage = { name: 'portalSuspended', length: 5 }
export const replicationStart: BackendMessage = { name: 'replicationStart', length: 4 }
export const emptyQuery: BackendMessage = { name: 'emptyQuery', length: 4 }
export const copyDone: BackendMessage = { name: 'copyDone', length: 4 }

export class AuthenticationOk implements BackendMessage {
  readonly name = 'authenticationOk'
  constructor(readonly length: number) {}
}

export class AuthenticationCleartextPassword implements BackendMessage {
  readonly name = 'authenticationCleartextPassword'
  constructor(readonly length: number) {}
}

export class AuthenticationMD5Password implements BackendMessage {
  readonly name = 'authenticationMD5Password'
  constructor(readonly length: number, readonly salt: Uint8Array) {}
}

export class AuthenticationSASL implements BackendMessage {
  readonly name = 'authenticationSASL'
  constructor(readonly length: number, readonly mechanisms: string[]) {}
}

export class AuthenticationSASLContinue implements BackendMessage {
  readonly name = 'authenticationSASLContinue'
  constructor(readonly length: number, readonly data: string) {}
}

export class AuthenticationSASLFinal implements BackendMessage {
  readonly name = 'authenticationSASLFinal'
  constructor(readonly length: number, readonly data: string) {}
}

export type AuthenticationMessage =
  | AuthenticationOk
  | AuthenticationCleartextPassword
  | AuthenticationMD5Password
  | AuthenticationSASL
  | AuthenticationSASLContinue
  | AuthenticationSASLFinal

/** The fields of an error or a notice ("Error and Notice Message Fields") but its message; those that it has are set. */
interface ReportFields {
  severity: string | undefined
  code: string | undefined
  detail: string | undefined
  hint: string | undefined
  position: string | undefined
  internalPosition: string | undefined
  internalQuery: string | undefined
  where: string | undefined
  schema: string | undefined
  table: string | undefined
  column: string | undefined
  dataType: string | undefined
  constraint: string | undefined
  file: string | undefined
  line: string | undefined
  routine: string | undefined
}

export interface NoticeOrError extends ReportFields {
  message: string | undefined
}

export interface DatabaseError extends ReportFields {}
/** PostgreSQL's own error. `code` is the SQLSTATE. What `query` and `exec` throw also says what was run. */
export class DatabaseError extends Error implements NoticeOrError {
  constructor(message: string, readonly length: number, override readonly name: MessageName) {
    super(message)
  }
}

export interface NoticeMessage extends ReportFields {}
export class NoticeMessage implements BackendMessage, NoticeOrError {
  readonly name = 'notice'
  constructor(readonly length: number, readonly message: string | undefined) {}
}

export class CopyDataMessage implements BackendMessage {
  readonly name = 'copyData'
  constructor(readonly length: number, readonly chunk: Uint8Array) {}
}

export class CopyResponse implements BackendMessage {
  readonly columnTypes: number[]
  constructor(readonly length: number, readonly name: MessageName, readonly binary: boolean, columnCount: number) {
    this.columnTypes = new Array(columnCount)
  }
}

export class Field {
  constructor(
    readonly name: string,
    readonly tableID: number,
    readonly columnID: number,
    readonly dataTypeID: number,
    readonly dataTypeSize: number,
    readonly dataTypeModifier: number,
    readonly format: Mode,
  ) {}
}

export class RowDescriptionMessage implements BackendMessage {
  readonly name: MessageName = 'rowDescription'
  readonly fields: Field[]
  constructor(readonly length: number, readonly fieldCount: number) {
    this.fields = new Array(fieldCount)
  }
}

export class ParameterDescriptionMessage implements BackendMessage {
  readonly name: MessageName = 'parameterDescription'
  readonly dataTypeIDs: number[]
  constructor(readonly length: number, readonly parameterCount: number) {
    this.dataTypeIDs = new Array(parameterCount)
  }
}

export class ParameterStatusMessage implements BackendMessage {
  readonly name: MessageName = 'parameterStatus'
  constructor(readonly length: number, readonly parameterName: string, readonly parameterValue: string) {}
}

export class BackendKeyDataMessage implements BackendMessage {
  readonly name: MessageName = 'backendKeyData'
  constructor(readonly length: number, readonly processID: number, readonly secretKey: number) {}
}

export class NotificationResponseMessage implements BackendMessage {
  readonly name: MessageName = 'notification'
  constructor(readonly length: number, readonly processId: number, readonly channel: string, readonly payload: string) {}
}

export class ReadyForQueryMessage implements BackendMessage {
  readonly name: MessageName = 'readyForQuery'
  constructor(readonly length: number, readonly status: string) {}
}

export class CommandCompleteMessage implements BackendMessage {
  readonly name: MessageName = 'commandComplete'
  constructor(readonly length: number, readonly text: string) {}
}

export class DataRowMessage implements BackendMessage {
  readonly name: MessageName = 'dataRow'
  readonly fieldCount: number
  constructor(readonly length: number, readonly fields: (string | null)[]) {
    this.fieldCount = fields.length
  }
}
