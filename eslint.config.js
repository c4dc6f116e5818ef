import neostandard from 'neostandard'

const msal = { group: ['@azure/msal-*'], message: 'MSAL is known to lib/msal/ only.' }
const fastify = { group: ['fastify', 'fastify-plugin', '@fastify/*'], message: 'lib/ knows OAuth and Entra ID; Fastify is known to plugins/ only.' }

export default [
  ...neostandard({ ts: true, ignores: ['dist', '.tap'] }),
  { files: ['lib/**'], rules: { 'no-restricted-imports': ['error', { patterns: [msal, fastify] }] } },
  { files: ['lib/msal/**'], rules: { 'no-restricted-imports': ['error', { patterns: [fastify] }] } },
  { files: ['plugins/**'], rules: { 'no-restricted-imports': ['error', { patterns: [msal] }] } },
]
