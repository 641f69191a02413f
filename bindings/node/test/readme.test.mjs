// The programs of the README print what it says.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const readme = readFileSync(join(dirname(fileURLToPath(import.meta.resolve('calf/package.json'))), 'README.md'), 'utf8')
const programs = [...readme.matchAll(/^## (.*)$|```js\n([\s\S]*?)```\s*```text\n([\s\S]*?)```/gm)]

test('there are programs', () => assert.ok(programs.filter(([, , program]) => program).length >= 4))

let heading = ''
for (const [, title, program, expected] of programs) {
  if (title) heading = title
  else {
    test(heading, { timeout: 30_000 }, () => {
      const cwd = dirname(fileURLToPath(import.meta.url))
      assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd, encoding: 'utf8' }), expected)
    })
  }
}
