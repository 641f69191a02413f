/** Settings of PostgreSQL from the several places in which PGlite's options have them. */
import type { CalfOptions } from './interface.js'

/** A line "name = value" of a postgresql.conf, or nothing: a comment, an empty line. */
function settingOfLine(line: string): string | undefined {
  const match = /^\s*([A-Za-z_][\w.]*)\s*(?:=\s*|\s+)(?:'((?:[^']|'')*)'|([^\s#']+))\s*(?:#.*)?$/.exec(line)
  if (match) return `${match[1]}=${match[2] === undefined ? match[3] : match[2].replaceAll("''", "'")}`
  if (/^\s*(#.*)?$/.test(line)) return undefined
  throw new Error(`postgresqlconf: not understood: ${line.trim()}`)
}

/** "-c name=value", "-cname=value", "--name=value" and "-F"; the others choose PGlite's way to run. */
function settingsOfArguments(args: string[]): string[] {
  const settings: string[] = []
  args.forEach((argument, index) => {
    if (args[index - 1] === '-c') settings.push(argument)
    else if (argument.startsWith('-c') && argument.length > 2) settings.push(argument.slice(2))
    else if (argument.startsWith('--') && argument.includes('=')) settings.push(argument.slice(2).replace(/-(?=[^=]*=)/g, '_'))
    else if (argument === '-F') settings.push('fsync=off')
  })
  return settings
}

/** Each "name=value"; later ones win. */
export function settingsOf(options: CalfOptions, preload: string[]): string[] {
  const { postgresqlconf = [], startParams = [], settings = {}, relaxedDurability } = options
  const lines = typeof postgresqlconf === 'string' ? postgresqlconf.split('\n') : postgresqlconf
  const all = lines.map(settingOfLine).filter((setting): setting is string => setting !== undefined)
  all.push(...settingsOfArguments(startParams))
  if (relaxedDurability) all.push('synchronous_commit=off')
  for (const [name, value] of Object.entries(settings)) {
    all.push(`${name}=${typeof value === 'boolean' ? (value ? 'on' : 'off') : value}`)
  }
  if (preload.length === 0) return all
  const PRELOAD = 'shared_preload_libraries='
  const before = all.filter((setting) => setting.startsWith(PRELOAD)).at(-1)?.slice(PRELOAD.length)
  const libraries = new Set([...(before?.split(',').map((name) => name.trim()) ?? []), ...preload])
  return [...all, PRELOAD + [...libraries].filter(Boolean).join(',')]
}
