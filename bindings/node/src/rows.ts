/** Values of rows: from the bytes of a DataRow message straight to what the parsers make of them. */
import { textAt } from './protocol/parser.js'
import { type Parser, types } from './types.js'
import type { RowMode } from './interface.js'

type Parsers = Record<number | string, Parser>
export type FieldDescription = { name: string; dataTypeID: number }

/** How a column is read: the default parsers need no string in between. */
const enum Kind {
  text,
  integer,
  boolean,
  bytes,
  parsed,
}

const INTEGER_OIDS = new Set([20, 21, 23, 26])
/** So many digits are exact in a double, whatever they are. */
const SAFE_DIGITS = 15

function kindOf(oid: number, parser: Parser | undefined): Kind {
  if (!parser || parser === types.string.parse) return Kind.text
  if (INTEGER_OIDS.has(oid) && (parser === types.number.parse || parser === types.bigint.parse)) return Kind.integer
  if (parser === types.boolean.parse) return Kind.boolean
  if (parser === types.bytea.parse) return Kind.bytes
  return Kind.parsed
}

const MINUS = 0x2d
const ZERO = 0x30
const LETTER_T = 0x74

function integerAt(bytes: Buffer, start: number, end: number): number {
  const negative = bytes[start] === MINUS
  let value = 0
  for (let at = negative ? start + 1 : start; at < end; at++) value = value * 10 + (bytes[at] - ZERO)
  return negative ? -value : value
}

/** "\x" and hexadecimal digits. */
const bytesAt = (bytes: Buffer, start: number, end: number): Uint8Array =>
  new Uint8Array(Buffer.from(bytes.toString('latin1', start + 2, end), 'hex'))

export class RowReader {
  readonly #names: string[]
  readonly #oids: number[]
  readonly #kinds: Kind[]
  readonly #parsers: (Parser | undefined)[]
  readonly #asArray: boolean

  constructor(fields: FieldDescription[], parsers: Parsers, rowMode: RowMode | undefined) {
    this.#names = fields.map((field) => field.name)
    this.#oids = fields.map((field) => field.dataTypeID)
    this.#parsers = this.#oids.map((oid) => parsers[oid])
    this.#kinds = this.#oids.map((oid, index) => kindOf(oid, this.#parsers[index]))
    this.#asArray = rowMode === 'array'
  }

  /** The row of the DataRow message whose body is there. */
  read(bytes: Buffer, start: number): any {
    const count = (bytes[start] << 8) | bytes[start + 1]
    if (count !== this.#names.length) throw new Error(`malformed row: ${count} values for ${this.#names.length} columns`)
    const array: any[] = this.#asArray ? new Array(count) : []
    const object: Record<string, any> = {}
    let at = start + 2
    for (let index = 0; index < count; index++) {
      const size = bytes.readInt32BE(at)
      at += 4
      const value = size < 0 ? null : this.#value(index, bytes, at, at + size)
      if (size > 0) at += size
      if (this.#asArray) array[index] = value
      else this.#put(object, this.#names[index], value)
    }
    return this.#asArray ? array : object
  }

  #put(row: Record<string, any>, name: string, value: any): void {
    if (name !== '__proto__') row[name] = value
    else Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
  }

  #value(index: number, bytes: Buffer, start: number, end: number): any {
    switch (this.#kinds[index]) {
      case Kind.text:
        return textAt(bytes, start, end)
      case Kind.integer:
        if (end - start <= SAFE_DIGITS) return integerAt(bytes, start, end)
        break
      case Kind.boolean:
        return bytes[start] === LETTER_T
      case Kind.bytes:
        // bytea_output can be "escape", too.
        if (bytes[start] === 0x5c && bytes[start + 1] === 0x78) return bytesAt(bytes, start, end)
        break
    }
    return this.#parsers[index]!(textAt(bytes, start, end), this.#oids[index])
  }
}
