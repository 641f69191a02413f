import { beforeAll, describe, expect, it } from '@jest/globals'

import { setUp, withDatabase } from '../node/database.mjs'

describe('users', () => {
  beforeAll(setUp)

  it('begins with an empty table', () =>
    withDatabase(async (db) => {
      const { rows } = await db.query('select count(*)::int as n from users')
      expect(rows).toEqual([{ n: 0 }])
    }))

  it.each([1, 2, 3])('has its own Ada, %i', () =>
    withDatabase(async (db) => {
      const { rows } = await db.query("insert into users (name) values ('Ada') returning id")
      expect(rows).toEqual([{ id: 1 }])
      await expect(db.query("insert into users (name) values ('Ada')")).rejects.toMatchObject({ code: '23505' })
    }),
  )
})
