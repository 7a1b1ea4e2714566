/** Settings of limits and plans; part of the table in settings.ts. */
import { choice, figures, integer } from './kinds.ts'
import { withDefault } from './setting.ts'

export const limitSettings = {
  limits: withDefault('MINDGLUE_LIMITS', choice(['auto', 'on', 'off']), 'auto', {
    group: 'limits',
    description:
      'Whether plans bound requests and memories. `auto`: on PostgreSQL, not on the embedded database.',
  }),
  planRequests: withDefault(
    'MINDGLUE_PLAN_REQUESTS',
    figures(1_000_000),
    Object.freeze({ free: 60, pro: 300, scale: 600 }),
    {
      group: 'limits',
      description:
        'Plans, and the requests that a namespace on each may make in any minute. New namespaces are on `free`; ' +
        '`mindglue plan` changes it.',
      unit: 'a minute',
      fallbackText: '`free=60, pro=300, scale=600`',
    },
  ),
  planMemories: withDefault(
    'MINDGLUE_PLAN_MEMORIES',
    figures(1_000_000_000),
    Object.freeze({ free: 10_000, pro: 100_000, scale: 1_000_000 }),
    {
      group: 'limits',
      description: 'Memories that a namespace on each plan may hold; a plan left out has no bound.',
      fallbackText: '`free=10000, pro=100000, scale=1000000`',
    },
  ),
  planMegabytes: withDefault(
    'MINDGLUE_PLAN_MEGABYTES',
    figures(1_000_000_000),
    Object.freeze({ free: 100, pro: 1000, scale: 10_000 }),
    {
      group: 'limits',
      description: 'Text that a namespace on each plan may hold, versions of before included.',
      unit: 'MB',
      fallbackText: '`free=100, pro=1000, scale=10000`',
    },
  ),
  replicas: withDefault('MINDGLUE_REPLICAS', integer(1, 1000), 1, {
    group: 'limits',
    description:
      'Server processes on one database: while there is no Redis to count for all, each keeps to its part. ' +
      'Without Redis no plan and no key may have fewer requests a minute.',
    unit: 'processes',
  }),
  failedKeysPerMinute: withDefault('MINDGLUE_FAILED_KEYS_PER_MINUTE', integer(1, 100_000), 20, {
    group: 'limits',
    description: 'Wrong keys that one address may send before it has to wait.',
    unit: 'a minute',
  }),
} as const
