import t from 'tap'
import { retryAfterSeconds } from '../../../lib/tokens/retry-after.ts'

const now = Date.parse('2026-11-24T12:00:00Z')
const cases: [string | undefined, number | undefined][] = [
  ['120', 120],
  ['0', 0],
  ['Tue, 24 Nov 2026 12:00:30 GMT', 30],
  ['Tue, 24 Nov 2026 11:00:00 GMT', 0],
  ['Tuesday, 24-Nov-26 12:00:30 GMT', 30],
  ['Tue Nov 24 12:00:30 2026', 30],
  ['Tue, 99 Nov 2026 12:00:30 GMT', undefined],
  ['soon', undefined],
  ['1.5', undefined],
  ['-5', undefined],
  ['5, 5', undefined],
  ['2026-11-24T12:00:30Z', undefined],
  ['', undefined],
  [undefined, undefined],
]
for (const [header, seconds] of cases) {
  t.test(`Retry-After: ${header} means ${seconds} seconds`, async t => {
    t.equal(retryAfterSeconds(header, now), seconds)
  })
}
