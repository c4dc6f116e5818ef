import t from 'tap'
import { Agent, request } from 'undici'
import { OwnConnections } from '../../lib/own-connections.ts'
import { pending } from '../fixtures/engine.ts'
import { startRawServer } from '../fixtures/raw-server.ts'

t.test('connections are opened once for all who ask, and close ends what they carry', async t => {
  const arrived = pending<void>()
  const { origin } = await startRawServer(t, () => arrived.resolve())
  const connections = new OwnConnections()

  const [one, two] = await Promise.all([connections.dispatcher(), connections.dispatcher()])
  t.ok(one instanceof Agent)
  t.equal(one, two)
  t.equal(await connections.dispatcher(), one)

  const ended = t.rejects(request(origin, { dispatcher: one }), { code: 'UND_ERR_DESTROYED' })
  await arrived.promise
  await connections.close()
  await ended
})

t.test('after close nothing is opened, also where it was asked for before', async t => {
  const connections = new OwnConnections()
  const asked = connections.dispatcher()

  await connections.close()

  await t.rejects(asked, /is closing/)
  await t.rejects(connections.dispatcher(), /is closing/)
})
