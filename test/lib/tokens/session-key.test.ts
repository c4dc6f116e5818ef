import t from 'tap'
import { writeSessionKey } from '../../../lib/tokens/session-key.ts'

t.test('a new session key is written where the call has asked for one, in any letter case', async t => {
  for (const options of [{ longRunningWebApiSessionKey: 'AllocateForMe' }, { acquireTokenOptions: { longRunningWebApiSessionKey: 'AllocateForMe' } }, { AcquireTokenOptions: { LongRunningWebApiSessionKey: 'AllocateForMe' } }]) {
    writeSessionKey(options, 'the key')
    t.match(JSON.stringify(options), /"longRunningWebApiSessionKey":"the key"/i)
  }
})

t.test('where it cannot be written, the call fails rather than leave a session that nobody can go on with or end', async t => {
  const written = { longRunningWebApiSessionKey: 'of another call' }
  for (const options of [undefined, null, 'text', [], {}, { acquireTokenOptions: {} }, { acquireTokenOptions: 'text' }, Object.freeze({ longRunningWebApiSessionKey: 'AllocateForMe' }), written]) {
    t.throws(() => writeSessionKey(options, 'the key'), { code: 'FST_IDW_CONFIG_INVALID' } as never, JSON.stringify(options))
  }
  t.equal(written.longRunningWebApiSessionKey, 'of another call')
})
