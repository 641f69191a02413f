/** The difference between two results of a query, by a key: rows as PostgreSQL's text, compared as such. */
import type { Change } from './interface.js'

export type TextRow = (string | null)[]

export interface Column {
  name: string
  parse: (text: string) => any
}

function indexOfKey(columns: Column[], key: string): number {
  const index = columns.findIndex(({ name }) => name === key)
  if (index < 0) throw new Error(`key "${key}" is not a column of the query`)
  return index
}

const differ = (one: TextRow, other: TextRow) => one.some((text, index) => text !== other[index])

/** A row and the text of the key of the row before it. */
interface Placed {
  row: TextRow
  after: string | null
}

export class ChangeTracker<T> {
  readonly #columns: Column[]
  readonly #keyAt: number
  #previous = new Map<string | null, Placed>()

  constructor(columns: Column[], key: string) {
    this.#columns = columns
    this.#keyAt = indexOfKey(columns, key)
  }

  /** What has changed since the last call. New rows come first, then those that are gone, then those that are different. */
  next(rows: TextRow[]): Array<Change<T>> {
    const current = new Map<string | null, Placed>()
    let after: string | null = null
    for (const row of rows) {
      current.set(row[this.#keyAt], { row, after })
      after = row[this.#keyAt]
    }
    const inserts: any[] = []
    const updates: any[] = []
    for (const [key, placed] of current) {
      const before = this.#previous.get(key)
      if (!before) inserts.push(this.#insert(placed))
      else if (placed.after !== before.after || differ(placed.row, before.row)) updates.push(this.#update(before, placed))
    }
    const deletes = [...this.#previous].filter(([key]) => !current.has(key)).map(([, { row }]) => this.#delete(row))
    this.#previous = current
    return [...inserts, ...deletes, ...updates]
  }

  #parse(index: number, text: string | null): any {
    return text === null ? null : this.#columns[index].parse(text)
  }

  #change(op: string, value: (index: number) => any, after: string | null, changed: string[]): any {
    const entries = this.#columns.map(({ name }, index) => [name, value(index)])
    const end = { __after__: this.#parse(this.#keyAt, after), __changed_columns__: changed }
    return { __op__: op, ...Object.fromEntries(entries), ...end }
  }

  #insert({ row, after }: Placed): any {
    return this.#change('INSERT', (index) => this.#parse(index, row[index]), after, [])
  }

  #delete(row: TextRow): any {
    return this.#change('DELETE', (index) => (index === this.#keyAt ? this.#parse(index, row[index]) : null), null, [])
  }

  /** Only the columns that are different have values. */
  #update(before: Placed, { row, after }: Placed): any {
    const different = (index: number) => row[index] !== before.row[index]
    const changed = this.#columns.filter((_, index) => index !== this.#keyAt && different(index)).map(({ name }) => name)
    const value = (index: number) => (index === this.#keyAt || different(index) ? this.#parse(index, row[index]) : null)
    if (after === before.after) return this.#change('UPDATE', value, null, changed)
    return this.#change('UPDATE', value, after, [...changed, '__after__'])
  }
}

/** A result of which only the rows that have changed are parsed anew: the others stay the same objects. */
export class RowMemory<T> {
  readonly #columns: Column[]
  readonly #keyAt: number
  #known = new Map<string | null, { row: TextRow; parsed: T }>()
  #rows: T[] = []

  constructor(columns: Column[], key: string) {
    this.#columns = columns
    this.#keyAt = indexOfKey(columns, key)
  }

  /** The parsed rows; the same array as before when nothing has changed. */
  next(rows: TextRow[]): T[] {
    const known = new Map<string | null, { row: TextRow; parsed: T }>()
    const parsed = rows.map((row) => {
      const key = row[this.#keyAt]
      const before = this.#known.get(key)
      const entry = before && !differ(before.row, row) ? before : { row, parsed: this.#parse(row) }
      known.set(key, entry)
      return entry.parsed
    })
    this.#known = known
    const same = parsed.length === this.#rows.length && parsed.every((row, index) => row === this.#rows[index])
    return same ? this.#rows : (this.#rows = parsed)
  }

  #parse(row: TextRow): T {
    const entries = this.#columns.map(({ name, parse }, index) => [name, row[index] === null ? null : parse(row[index] as string)])
    return Object.fromEntries(entries)
  }
}
