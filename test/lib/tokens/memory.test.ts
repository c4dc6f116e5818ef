import t from 'tap'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

t.setTimeout(180_000)

t.test('a million different users leave memory as it was after a hundred thousand', async t => {
  const script = fileURLToPath(new URL('../../fixtures/processes/a-million-users.ts', import.meta.url))
  const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }

  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', ...process.execArgv, script], { env, timeout: 170_000 })

  const { asked, heaps: [before = 0, after = 0], known } = JSON.parse(stdout) as { asked: number, heaps: number[], known: number }
  t.equal(asked, 1_000_000)
  t.ok(known <= 2000, 'as many tokens and failures as are remembered')
  t.ok(after - before < 2 * 1024 * 1024, `${Math.round((after - before) / 1024)} KiB more`)
})
