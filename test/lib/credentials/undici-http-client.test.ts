import t from 'tap'
import { createHttpHeaders, createPipelineRequest, type HttpClient } from '@azure/core-rest-pipeline'
import { Agent } from 'undici'
import { UndiciHttpClient } from '../../../lib/credentials/undici-http-client.ts'
import { startRawServer } from '../../fixtures/raw-server.ts'

t.test('it is an HttpClient of the Azure SDK: what was asked is sent, and what was answered is read, uncompressed', async t => {
  const server = await startRawServer(t, (_request, response) => response.writeHead(418, { 'x-one': '1', 'set-cookie': ['a', 'b'] }).end('tea'))
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const client: HttpClient = new UndiciHttpClient(agent, new AbortController().signal)
  const request = createPipelineRequest({ url: `${server.origin}/pot?x=1`, headers: createHttpHeaders({ 'X-Asked': 'yes', 'Accept-Encoding': 'gzip,deflate' }) })

  const response = await client.sendRequest(request)

  t.match(server.requests, [{ method: 'GET', url: '/pot?x=1', headers: { 'x-asked': 'yes', 'accept-encoding': 'identity' }, body: '' }])
  t.match(response, { request, status: 418, bodyAsText: 'tea' })
  t.equal(response.headers.get('X-One'), '1')
  t.equal(response.headers.get('nothing'), undefined)
  t.equal(response.headers.get('set-cookie'), 'a,b')
  t.equal(response.headers.has('X-ONE'), true)
  response.headers.set('X-Two', 2)
  response.headers.delete('X-One')
  t.match(response.headers.toJSON(), { 'x-two': '2', 'x-one': undefined })
  t.match(Object.fromEntries(response.headers), { 'x-two': '2' })
})
