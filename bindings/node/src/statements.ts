/**
 * Prepared statements of a session, kept by their SQL so that a query that is run again is not parsed again.
 *
 * What a statement was prepared for can become wrong: by DDL, SET search_path, DISCARD, … . A session that runs such a
 * command forgets all its statements; and what others have changed shows as an error before the statement runs, so that
 * it can be parsed anew (connection.ts).
 */

export interface Statement {
  readonly name: string
  readonly parameterTypes: number[]
  readonly fields: { name: string; dataTypeID: number }[]
}

const MAX_STATEMENTS = 256
const MAX_SQL = 16 * 1024

/** Commands after which a statement still means what it did. */
const harmless = new Set(
  ('SELECT INSERT UPDATE DELETE MERGE VALUES COPY FETCH MOVE EXPLAIN SHOW BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE' +
    ' LISTEN UNLISTEN NOTIFY LOCK DECLARE CLOSE PREPARE EXECUTE CHECKPOINT ANALYZE VACUUM').split(' '),
)
/** Commands whose statements are worth keeping. */
const kept = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'])

export class StatementCache {
  #statements = new Map<string, Statement>()
  #seen = new Set<string>()
  #closing: string[] = []
  #count = 0

  static key(sql: string, types?: number[]): string {
    return types?.length ? `${types.join()}:${sql}` : sql
  }

  get(key: string): Statement | undefined {
    const statement = this.#statements.get(key)
    // The map's order is that of use, as soon as it matters.
    if (statement && this.#statements.size > MAX_STATEMENTS / 2) {
      this.#statements.delete(key)
      this.#statements.set(key, statement)
    }
    return statement
  }

  /** Whether the statement has been run before, so that it pays to keep it. */
  isWorthKeeping(key: string): boolean {
    return this.#seen.has(key)
  }

  nextName(): string {
    return `calf_${++this.#count}`
  }

  set(key: string, statement: Statement): void {
    if (this.#statements.size >= MAX_STATEMENTS) {
      const [oldestKey, oldest] = this.#statements.entries().next().value!
      this.#statements.delete(oldestKey)
      this.#closing.push(oldest.name)
    }
    this.#statements.set(key, statement)
  }

  /** Forgets a statement; it is closed with the next message. */
  drop(key: string): void {
    const statement = this.#statements.get(key)
    if (statement) this.#closing.push(statement.name)
    this.#statements.delete(key)
    this.#seen.delete(key)
  }

  /** After a statement or several: `command` is the first word of a command tag. */
  ran(command: string, key?: string): void {
    if (!harmless.has(command)) {
      for (const statement of this.#statements.values()) this.#closing.push(statement.name)
      this.#statements.clear()
      this.#seen.clear()
    } else if (key !== undefined && key.length <= MAX_SQL && kept.has(command)) {
      if (this.#seen.size >= 4 * MAX_STATEMENTS) this.#seen.clear()
      this.#seen.add(key)
    }
  }

  /** Names of statements that are to be closed, each once. */
  takeClosing(): string[] {
    return this.#closing.length > 0 ? this.#closing.splice(0) : this.#closing
  }
}
