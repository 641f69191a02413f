// The tarball in empty folders, without a network: as ESM, CommonJS and TypeScript, and in PGlite's place.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const tarball = process.env.CALF_NODE_TARBALL
const packageOf = (name) => dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`)))

describe('the package in an empty folder', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'calf-test-'))
  const inFolder = (command, ...args) => execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const run = (name, source) => {
    writeFileSync(join(folder, name), source)
    return inFolder(process.execPath, name)
  }
  before(() => {
    assert.ok(tarball, 'CALF_NODE_TARBALL is not set')
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    inFolder('npm', 'install', '--offline', '--no-audit', '--no-fund', '--silent', tarball, `@electric-sql/pglite@${tarball}`)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const body = `const db = await Calf.create(); console.log((await db.query('select 1 as a')).rows[0].a); await db.close()`

  test('is imported', () => {
    assert.equal(run('esm.mjs', `import { Calf } from 'calf'; import { live } from 'calf/live'; import { sql } from 'calf/template'
      import { vector } from 'calf/contrib/vector'; console.log(typeof live.setup, typeof sql, vector.name); ${body}`), 'function function vector\n1\n')
  })

  test('is required', () => {
    assert.equal(run('cjs.cjs', `const { Calf, PGlite } = require('calf'); const { live } = require('calf/live')
      void (async () => { console.log(Calf === PGlite, live.name); ${body} })()`), 'true Live Queries\n1\n')
  })

  test('takes the place of PGlite for those who import that', () => {
    assert.equal(run('alias.mjs', `import { PGlite as Calf, types } from '@electric-sql/pglite'; console.log(types.INT4); ${body}`), '23\n1\n')
  })

  test('has types that fit', () => {
    symlinkSync(packageOf('@types/node'), join(folder, 'node_modules', 'types-node'))
    cpSync(fileURLToPath(new URL('usage.ts', import.meta.url)), join(folder, 'usage.mts'))
    cpSync(fileURLToPath(new URL('usage.ts', import.meta.url)), join(folder, 'usage.cts'))
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,esnext.disposable,dom', '--module', 'nodenext', '--skipLibCheck', 'false']
    const tsc = join(packageOf('typescript'), 'bin/tsc')
    try {
      inFolder(process.execPath, tsc, ...options, '--types', 'types-node', '--typeRoots', 'node_modules', 'usage.mts')
      inFolder(process.execPath, tsc, ...options, '--types', 'types-node', '--typeRoots', 'node_modules', 'usage.cts')
    } catch (error) {
      assert.fail(error.stdout)
    }
  })
})
