/** Helpers for SQL text, and for callbacks that come faster than they can be served. */
import type { PGliteInterface, QueryInterface, Transaction } from './interface.js'
import { TEXT } from './types.js'

/** A name as PostgreSQL keeps it: quoted names as they are, others in lower case. */
export function toPostgresName(input: string): string {
  if (input.length >= 2 && input.startsWith('"') && input.endsWith('"')) return input.slice(1, -1).replaceAll('""', '"')
  return input.toLowerCase()
}

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/**
 * The query with its parameters written into it as literals, for statements that take none (CREATE VIEW). What it refers
 * to must exist, as PostgreSQL is asked for the parameters' types. In a transaction, pass it as `tx`.
 */
export async function formatQuery(
  pg: PGliteInterface | QueryInterface,
  query: string,
  params?: any[] | null,
  tx?: Transaction | PGliteInterface | QueryInterface,
): Promise<string> {
  if (!params || params.length === 0) return query
  const { queryParams } = await (pg as QueryInterface).describeQuery(query)
  // "%1$L" is format()'s for "the first argument as a literal"; what it must not take for its own is doubled.
  const template = query.replaceAll('%', '%%').replace(/\$([0-9]+)/g, '%$1$$L')
  const result = await ((tx ?? pg) as QueryInterface).query<{ query: string }>(
    `SELECT format($1, ${params.map((_, index) => `$${index + 2}`).join(', ')}) AS query`,
    [template, ...params],
    { paramTypes: [TEXT, ...queryParams.map((parameter) => parameter.dataTypeID)] },
  )
  return result.rows[0].query
}

/**
 * A function that runs once at a time: calls while it runs become a single one after it, with the newest arguments; those
 * that were replaced resolve to undefined.
 */
export function oneAtATime<Arguments extends any[], Result>(
  run: (...args: Arguments) => Promise<Result>,
): (...args: Arguments) => Promise<Result | void> {
  type Call = { args: Arguments; resolve: (result: Result | void) => void; reject: (reason: unknown) => void }
  let next: Call | undefined
  let running = false
  const work = async () => {
    running = true
    while (next) {
      const { args, resolve, reject } = next
      next = undefined
      await run(...args).then(resolve, reject)
    }
    running = false
  }
  return (...args) =>
    new Promise((resolve, reject) => {
      next?.resolve()
      next = { args, resolve, reject }
      if (!running) void work()
    })
}
