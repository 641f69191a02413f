/**
 * `/dev/blob`, PGlite's file for COPY: `COPY … TO '/dev/blob'` becomes a COPY to the client, `FROM '/dev/blob'` one from
 * it. Only COPY statements at the top level of the SQL are understood, not those that a function puts together.
 */

const NAME = "'/dev/blob'"

/** What stands between the statements' words: literals, quoted identifiers, comments. Their text means nothing here. */
const TOKENS = new RegExp(
  [
    String.raw`--[^\n]*`,
    String.raw`\/\*(?:[^*]|\*(?!\/))*\*\/`,
    String.raw`[eE]'(?:[^'\\]|\\.|'')*'`,
    String.raw`'(?:[^']|'')*'`,
    String.raw`"(?:[^"]|"")*"`,
    String.raw`\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$`,
    String.raw`[A-Za-z_][\w$]*`,
    String.raw`;`,
  ].join('|'),
  'g',
)

/** The SQL with STDIN or STDOUT for each `/dev/blob`, padded so that positions in errors stay right. */
export function replaceDevBlob(sql: string): string {
  if (!sql.includes(NAME)) return sql
  let command = ''
  let previous = ''
  return sql.replace(TOKENS, (token) => {
    if (token.startsWith('--') || token.startsWith('/*')) return token
    const word = token.toUpperCase()
    const before = previous
    previous = word
    if (token === ';') command = previous = ''
    else if (command === '') command = word
    if (token !== NAME || command !== 'COPY') return token
    if (before === 'TO') return 'STDOUT'.padEnd(NAME.length)
    return before === 'FROM' ? 'STDIN'.padEnd(NAME.length) : token
  })
}
