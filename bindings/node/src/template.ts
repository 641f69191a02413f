/** SQL by tagged templates: values become parameters; pieces of SQL, identifiers and raw text can be nested. */

type Part = { _templateType: 'part'; str: string }
type Container = { _templateType: 'container'; strings: TemplateStringsArray; values: any[] }

export interface TemplatedQuery {
  query: string
  params: any[]
}

/** A piece of SQL with values of its own, to be nested in another template. */
export function sql(strings: TemplateStringsArray, ...values: any[]): Container {
  const cooked = [strings[0]]
  const raw = [strings.raw[0]]
  const kept: any[] = []
  const glue = (to: string[], pieces: readonly string[], next: string) => {
    to[to.length - 1] += pieces[0]
    to.push(...pieces.slice(1))
    to[to.length - 1] += next
  }
  values.forEach((value, index) => {
    const next = strings[index + 1]
    const nextRaw = strings.raw[index + 1]
    if (value?._templateType === 'part') {
      glue(cooked, [value.str], next)
      glue(raw, [value.str], nextRaw)
    } else if (value?._templateType === 'container') {
      glue(cooked, value.strings, next)
      glue(raw, value.strings.raw, nextRaw)
      kept.push(...value.values)
    } else {
      cooked.push(next)
      raw.push(nextRaw)
      kept.push(value)
    }
  })
  return { _templateType: 'container', strings: Object.assign(cooked, { raw }), values: kept }
}

/** A quoted identifier, a quotation mark within it doubled. */
export function identifier(strings: TemplateStringsArray, ...values: any[]): Part {
  return { _templateType: 'part', str: `"${String.raw(strings, ...values).replaceAll('"', '""')}"` }
}

/** SQL text as it is: never put anything from outside into it. */
export function raw(strings: TemplateStringsArray, ...values: any[]): Part {
  return { _templateType: 'part', str: String.raw(strings, ...values) }
}

/** The text with `$1`, `$2`, … and the values that they stand for. */
export function query(strings: TemplateStringsArray, ...values: any[]): TemplatedQuery {
  const { strings: parts, values: params } = sql(strings, ...values)
  return { query: parts.reduce((text, part, index) => `${text}$${index}${part}`), params }
}
