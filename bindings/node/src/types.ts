/**
 * Values between JavaScript and PostgreSQL's text format: the OIDs of the built-in types, a parser and a serializer for
 * those that are not simply text, and arrays of any type. The tables are keyed by OID, so that users can replace entries.
 */
import type { ParserOptions } from './interface.js'

const { parse: parseJson, stringify: stringifyJson } = globalThis.JSON

export const BOOL = 16
export const BYTEA = 17
export const CHAR = 18
export const INT8 = 20
export const INT2 = 21
export const INT4 = 23
export const REGPROC = 24
export const TEXT = 25
export const OID = 26
export const TID = 27
export const XID = 28
export const CID = 29
export const JSON = 114
export const XML = 142
export const PG_NODE_TREE = 194
export const SMGR = 210
export const PATH = 602
export const POLYGON = 604
export const CIDR = 650
export const FLOAT4 = 700
export const FLOAT8 = 701
export const ABSTIME = 702
export const RELTIME = 703
export const TINTERVAL = 704
export const CIRCLE = 718
export const MACADDR8 = 774
export const MONEY = 790
export const MACADDR = 829
export const INET = 869
export const ACLITEM = 1033
export const BPCHAR = 1042
export const VARCHAR = 1043
export const DATE = 1082
export const TIME = 1083
export const TIMESTAMP = 1114
export const TIMESTAMPTZ = 1184
export const INTERVAL = 1186
export const TIMETZ = 1266
export const BIT = 1560
export const VARBIT = 1562
export const NUMERIC = 1700
export const REFCURSOR = 1790
export const REGPROCEDURE = 2202
export const REGOPER = 2203
export const REGOPERATOR = 2204
export const REGCLASS = 2205
export const REGTYPE = 2206
export const UUID = 2950
export const TXID_SNAPSHOT = 2970
export const PG_LSN = 3220
export const PG_NDISTINCT = 3361
export const PG_DEPENDENCIES = 3402
export const TSVECTOR = 3614
export const TSQUERY = 3615
export const GTSVECTOR = 3642
export const REGCONFIG = 3734
export const REGDICTIONARY = 3769
export const JSONB = 3802
export const REGNAMESPACE = 4089
export const REGROLE = 4096

/** Makes a value of PostgreSQL's text. `typeId` is the type's OID. */
export type Parser = (text: string, typeId?: number) => any
/** Makes PostgreSQL's text of a value. */
export type Serializer = (value: any) => string

export type TypeHandler = {
  /** OID that the values have as parameters; 0: as the statement says. */
  to: number
  /** OIDs whose text `parse` understands. */
  from: number | number[]
  serialize: Serializer
  parse: Parser
}

export type TypeHandlers = { [key: string]: TypeHandler }

const trueWords = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const falseWords = new Set(['false', 'f', 'no', 'n', 'off', '0'])

function serializeBoolean(value: boolean | number | string): 't' | 'f' {
  const word = String(value).trim().toLowerCase()
  const known = typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string'
  if (known && trueWords.has(word)) return 't'
  if (known && falseWords.has(word)) return 'f'
  throw new Error('Invalid input for boolean type')
}

function serializeDate(value: Date | string | number): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return new Date(value).toISOString()
  if (value instanceof Date) return value.toISOString()
  throw new Error('Invalid input for date type')
}

function serializeBytes(value: Uint8Array): string {
  if (!(value instanceof Uint8Array)) throw new Error('Invalid input for bytea type')
  return '\\x' + Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')
}

/** int8: a number while it is exact, a BigInt beyond. */
function parseBigint(text: string): number | bigint {
  const number = +text
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

export const types = {
  string: {
    to: TEXT,
    from: [TEXT, VARCHAR, BPCHAR],
    serialize: (value: string | number | Date) => (value instanceof Date ? value.toISOString() : value.toString()),
    parse: (text: string) => text,
  },
  number: {
    to: 0,
    from: [INT2, INT4, OID, FLOAT4, FLOAT8],
    serialize: (value: number) => value.toString(),
    parse: (text: string) => +text,
  },
  bigint: {
    to: INT8,
    from: [INT8],
    serialize: (value: bigint) => value.toString(),
    parse: parseBigint,
  },
  json: {
    to: JSON,
    from: [JSON, JSONB],
    serialize: (value: any) =>
      typeof value === 'string'
        ? value
        : stringifyJson(value, (_key, inner) => (typeof inner === 'bigint' ? inner.toString() : inner)),
    parse: (text: string) => parseJson(text),
  },
  boolean: {
    to: BOOL,
    from: [BOOL],
    serialize: serializeBoolean,
    parse: (text: string): text is 't' => text === 't',
  },
  date: {
    to: TIMESTAMPTZ,
    from: [DATE, TIMESTAMP, TIMESTAMPTZ],
    serialize: serializeDate,
    parse: (text: string | number) => new Date(text),
  },
  bytea: {
    to: BYTEA,
    from: [BYTEA],
    serialize: serializeBytes,
    // A copy: what Buffer hands out would share its pool.
    parse: (text: string): Uint8Array => new Uint8Array(Buffer.from(text.slice(2), 'hex')),
  },
} satisfies TypeHandlers

export const parsers: Record<number | string, Parser> = {}
export const serializers: Record<number | string, Serializer> = {}
for (const [name, { to, from, serialize, parse }] of Object.entries(types) as [string, TypeHandler][]) {
  serializers[name] = serializers[to] = serialize
  parsers[name] = parse
  for (const oid of Array.isArray(from) ? from : [from]) {
    parsers[oid] = parse
    serializers[oid] = serialize
  }
}

/** A value of type `type`; what no parser is known for stays text. */
export function parseType(text: string | null, type: number, custom?: ParserOptions): any {
  if (text === null) return null
  const parse = custom?.[type] ?? parsers[type]
  return parse ? parse(text, type) : text
}

const BOX_ARRAY = 1020

/** The only type whose array elements are not separated by commas is `box`. */
const delimiterOf = (typarray: number) => (typarray === BOX_ARRAY ? ';' : ',')

/**
 * An array literal of nested JavaScript arrays; anything else is returned as it is (text that is a literal already).
 * `serializer` is the one of the elements, `typarray` the OID of the array type.
 */
export function arraySerializer(value: any, serializer: Serializer | undefined, typarray: number): string {
  if (!Array.isArray(value)) return value
  const items = Array.isArray(value[0])
    ? value.map((inner) => arraySerializer(inner, serializer, typarray))
    : value.map((item) => (item === null || item === undefined ? 'null' : quote(serializer ? serializer(item) : item.toString())))
  return `{${items.join(delimiterOf(typarray))}}`
}

const quote = (text: string) => '"' + text.replace(/[\\"]/g, '\\$&') + '"'

/** The array that the literal `text` describes. `parser` is the one of the elements. */
export function arrayParser(text: string, parser: Parser | undefined, typarray: number): any {
  const delimiter = delimiterOf(typarray)
  // Bounds that do not begin with 1 stand before the array: [0:1]={…}.
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0

  const quoted = (): string => {
    let result = ''
    let from = ++at
    for (; at < text.length && text[at] !== '"'; at++) {
      if (text[at] !== '\\') continue
      result += text.slice(from, at)
      from = ++at
    }
    return result + text.slice(from, at++)
  }
  const bare = (): string => {
    const from = at
    while (at < text.length && text[at] !== delimiter && text[at] !== '}') at++
    return text.slice(from, at)
  }
  const convert = (item: string) => (parser ? parser(item) : item)
  const list = (): any[] => {
    const items: any[] = []
    at++ // {
    while (at < text.length && text[at] !== '}') {
      if (text[at] === delimiter) at++
      else if (text[at] === '{') items.push(list())
      else if (text[at] === '"') items.push(convert(quoted()))
      else {
        const item = bare()
        items.push(item === 'NULL' ? null : convert(item))
      }
    }
    at++ // }
    return items
  }
  return list()
}
