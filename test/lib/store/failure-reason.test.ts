import t from 'tap'
import { failureReason } from '../../../lib/store/failure-reason.ts'

const value = `k1.${'aB3-_'.repeat(40)}`

t.test('the reason is the code and the message', async t => {
  t.equal(failureReason(new Error('the connection is closed')), 'the connection is closed')
  t.equal(failureReason(Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' })), 'ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:6379')
  t.equal(failureReason(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })), 'ECONNREFUSED')
  t.equal(failureReason(Object.assign(new Error('getaddrinfo ENOTFOUND todo-production.westeurope.redis.example'), { code: 7 })), 'getaddrinfo ENOTFOUND todo-production.westeurope.redis.example')
})

t.test('what is no error has none', async t => {
  for (const thrown of [undefined, null, 'text', 7, {}, Object.create(null), [], { message: 7, code: {} }, () => {}]) t.equal(failureReason(thrown), 'unknown')
})

t.test('neither the arguments of a command nor a password is in it', async t => {
  t.equal(failureReason(Object.assign(new Error('ERR unknown command \'set\', with args beginning with: \'fastify\' \'k1.a\n\' '), { command: { name: 'set', args: ['name', value] } })), "ERR unknown command 'set'")
  t.equal(failureReason(new Error(`cannot set fastify-identity-web:v1:token:${'x'.repeat(43)} to ${value}`)), 'cannot set fastify-identity-web:v1:token:*** to k1.***')
  t.equal(failureReason(new Error('no answer of redis://user:pass@cache.example:6379/0')), 'no answer of redis://***@cache.example:6379/0')
})

t.test('a long message is cut', async t => {
  t.equal(failureReason(new Error('why '.repeat(1000))).length, 200)
})
