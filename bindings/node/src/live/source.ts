/**
 * What every live query stands on: a temporary view of the query, which tells the tables that it reads and that it can be
 * run with its parameters in it; triggers on those tables that notify; and listening for them.
 */
import { randomUUID } from 'node:crypto'
import type { QueryInterface, Results, Transaction, Unsubscribe } from '../interface.js'
import { formatQuery, quoteIdentifier } from '../utils.js'

type Table = { oid: number; name: string }
type QueryOptions = Parameters<QueryInterface['query']>[2]

/**
 * The tables that a view reads, through other views and with their partitions and children, too; not those of the catalog,
 * which can have no triggers.
 */
const TABLES_OF_VIEW = `
  WITH RECURSIVE relation(oid) AS (
    SELECT $1::regclass::oid
    UNION
    SELECT used.oid FROM relation, LATERAL (
      SELECT depend.refobjid AS oid
      FROM pg_catalog.pg_rewrite rewrite
      JOIN pg_catalog.pg_depend depend ON depend.objid = rewrite.oid
        AND depend.classid = 'pg_catalog.pg_rewrite'::regclass AND depend.refclassid = 'pg_catalog.pg_class'::regclass
      WHERE rewrite.ev_class = relation.oid
      UNION ALL
      SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = relation.oid
    ) used
  )
  SELECT class.oid::int8 AS oid, class.oid::regclass::text AS name
  FROM relation JOIN pg_catalog.pg_class class USING (oid)
  WHERE class.relkind IN ('r', 'p') AND class.relnamespace <> 'pg_catalog'::regnamespace`

const TRIGGER = '_calf_live'

const NOTIFY_FUNCTION = `
  CREATE OR REPLACE FUNCTION public.${TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_catalog.pg_notify('${TRIGGER}_' || TG_RELID, '');
    RETURN NULL;
  END $$`

const createTrigger = (table: string) => `
  CREATE TRIGGER ${TRIGGER} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
  FOR EACH STATEMENT EXECUTE FUNCTION public.${TRIGGER}()`

const HAS_TRIGGER = `SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname = '${TRIGGER}'`
const HAS_FUNCTION = `SELECT 1 WHERE to_regprocedure('public.${TRIGGER}()') IS NOT NULL`

export class LiveSource {
  readonly #pg: QueryInterface
  readonly #view = quoteIdentifier(`live_query_${randomUUID().replaceAll('-', '')}_view`)
  #unlisten: Unsubscribe[] = []

  private constructor(pg: QueryInterface) {
    this.#pg = pg
  }

  /** `onChange` is called when a table of the query may have changed. `first` runs in the same transaction. */
  static async open(
    pg: QueryInterface,
    query: string,
    params: any[] | null | undefined,
    onChange: () => void,
    first: (source: LiveSource, tx: Transaction) => Promise<void>,
  ): Promise<LiveSource> {
    const source = new LiveSource(pg)
    await pg.transaction(async (tx) => {
      const formatted = (await formatQuery(pg, query, params, tx)).trim().replace(/;+$/, '')
      await tx.exec(`CREATE TEMP VIEW ${source.#view} AS ${formatted}`)
      const tables = (await tx.query<Table>(TABLES_OF_VIEW, [source.#view])).rows
      if (tables.length > 0 && (await tx.query(HAS_FUNCTION)).rows.length === 0) await tx.exec(NOTIFY_FUNCTION)
      for (const table of tables) {
        if ((await tx.query(HAS_TRIGGER, [table.oid])).rows.length === 0) await tx.exec(createTrigger(table.name))
        source.#unlisten.push(await tx.listen(`"${TRIGGER}_${table.oid}"`, onChange))
      }
      await first(source, tx)
    })
    return source
  }

  /** The query's result. */
  select<T>(by: QueryInterface | Transaction = this.#pg, options?: QueryOptions): Promise<Results<T>> {
    return by.query<T>(`SELECT * FROM ${this.#view}`, [], options)
  }

  window<T>(limit: number, offset: number, by: QueryInterface | Transaction = this.#pg): Promise<Results<T>> {
    return by.query<T>(`SELECT * FROM ${this.#view} LIMIT $1 OFFSET $2`, [limit, offset])
  }

  async count(by: QueryInterface | Transaction = this.#pg): Promise<number> {
    const { rows } = await by.query<{ count: number }>(`SELECT count(*) AS count FROM ${this.#view}`)
    return rows[0].count
  }

  describe(): ReturnType<QueryInterface['describeQuery']> {
    return this.#pg.describeQuery(`SELECT * FROM ${this.#view}`)
  }

  async close(): Promise<void> {
    await this.#pg.transaction(async (tx) => {
      for (const unlisten of this.#unlisten) await unlisten(tx)
      await tx.exec(`DROP VIEW IF EXISTS ${this.#view}`)
    })
  }
}

/** The callbacks of a live query, and its end. */
export class Subscribers<Value> {
  #callbacks: Array<(value: Value) => void> = []
  #end: () => Promise<void>
  #dead = false

  constructor(callback: ((value: Value) => void) | undefined, end: () => Promise<void>) {
    if (callback) this.#callbacks.push(callback)
    this.#end = end
  }

  get none(): boolean {
    return this.#callbacks.length === 0
  }

  call(value: Value): void {
    for (const callback of this.#callbacks) callback(value)
  }

  subscribe = (callback: (value: Value) => void): void => {
    if (this.#dead) throw new Error('Live query is no longer active and cannot be subscribed to')
    this.#callbacks.push(callback)
  }

  unsubscribe = async (callback?: (value: Value) => void): Promise<void> => {
    this.#callbacks = callback ? this.#callbacks.filter((one) => one !== callback) : []
    if (!this.none || this.#dead) return
    this.#dead = true
    await this.#end()
  }

  /** Ends everything when the signal is aborted, at once if it was already. */
  async follow(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) await this.unsubscribe()
    else signal?.addEventListener('abort', () => void this.unsubscribe().catch(() => {}), { once: true })
  }
}
