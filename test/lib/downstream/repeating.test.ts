import t from 'tap'
import { Exchange } from '../../../lib/downstream/exchange.ts'
import { Repeating } from '../../../lib/downstream/repeating.ts'

t.test('a call that is ended while an answer is dropped is not made again', async t => {
  const failures: unknown[] = []
  let dispatched = 0
  const exchange = new Exchange({ name: 'Api', timeout: 60_000, signals: [], onAnswer: () => {}, onFailure: error => { failures.push(error) } })
  const repeating = new Repeating(() => { dispatched++ }, 3, exchange)
  repeating.onRequestStart({ abort: () => {}, pause: () => {}, resume: () => {} } as never)
  repeating.onResponseStart({} as never, 503, { 'retry-after': '0' })

  exchange.end(new Error('gone'))
  repeating.onResponseEnd()
  await new Promise(resolve => setTimeout(resolve, 5))

  t.match(failures, [{ message: 'gone' }])
  t.equal(dispatched, 0)
})
