import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'

import { setUp, withDatabase } from './database.mjs'

describe('users', { concurrency: true }, () => {
  before(setUp)

  it('begins with an empty table', () =>
    withDatabase(async (db) => {
      const { rows } = await db.query('select count(*)::int as n from users')
      assert.equal(rows[0].n, 0)
    }))

  for (const attempt of [1, 2, 3]) {
    it(`has its own Ada, ${attempt}`, () =>
      withDatabase(async (db) => {
        const { rows } = await db.query("insert into users (name) values ('Ada') returning id")
        assert.equal(rows[0].id, 1)
        await assert.rejects(db.query("insert into users (name) values ('Ada')"), { code: '23505' })
      }))
  }
})
