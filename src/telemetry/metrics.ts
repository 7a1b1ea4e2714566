/** Counters, gauges and histograms of one process, in its own registry. Labels are closed sets. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { ErrorCode } from '../errors.ts'
import type { Channel } from '../principal.ts'

/** Parts of the program whose failures are counted apart. */
export type Component = 'database' | 'redis' | 'embedder' | 'http' | 'jobs' | 'audit' | 'encryption'

export interface RequestSample {
  readonly operation: string
  readonly transport: Channel
  readonly outcome: 'ok' | ErrorCode
  readonly namespaceName: string
  readonly durationMs: number
  /** Milliseconds of each step of the pipeline. */
  readonly stageMs: Readonly<Record<string, number>>
}

export interface PoolReading {
  readonly inUse: number
  readonly waiting: number
}

export interface Metrics {
  /** Counts one finished request, successful or not. */
  request(sample: RequestSample): void
  /** Counts one failure of a part of the program. */
  failure(component: Component): void
  /** `read` is called at each scrape. */
  observePool(read: () => PoolReading | Promise<PoolReading>): void
  daemonConnections(count: number): void
  /** After a run of the purge: rows erased, and how long the oldest of them had been expired. */
  purged(rows: number, lagSeconds: number): void
  /** Counts one request that a limit refused. */
  rateLimited(limit: 'namespace' | 'key' | 'address'): void
  /** Whether limits are kept by this process alone although Redis is configured. */
  rateLimitDegraded(isDegraded: boolean): void
  /** After a run of the job that gives namespaces a partition, for each that it changed. */
  vectorPartition(outcome: 'promoted' | 'demoted' | 'failed', durationSeconds: number): void
  /** When the certificate that is served expires; told again at each change. */
  certificateExpires(at: Date): void
  /** Prometheus text of everything above. */
  text(): Promise<string>
  readonly contentType: string
}

export interface MetricsOptions {
  readonly version: string
  /** Namespaces that get a label of their own; the others share `other`. At most 50. */
  readonly namespaces: readonly string[]
  /** Process and Node figures: CPU, memory, event loop. */
  readonly processMetrics?: boolean
}

const namespacesMax = 50
/** Operations and stages come from our own code; the bound keeps a mistake from flooding a scrape. */
const labelValuesMax = 64
/** Seconds. From half a millisecond (an embedded read) to the statement timeout of 15 s. */
const durationBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15,
]

/** Makes the metrics of one process. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  const registers = [registry]
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry })
  new Gauge({
    name: 'mindglue_build_info',
    help: 'Always 1; the version of the program is its label.',
    labelNames: ['version'],
    registers,
  }).set({ version: options.version }, 1)
  const namespaces = new Set(options.namespaces.slice(0, namespacesMax))
  const operationLabel = closedSet(labelValuesMax)
  const stageLabel = closedSet(labelValuesMax)
  const request = requestMetrics(registers)
  const errors = new Counter({
    name: 'mindglue_errors_total',
    help: 'Failures by the part of the program they happened in.',
    labelNames: ['component'],
    registers,
  })
  const background = backgroundMetrics(registers)
  let certificate: Gauge | undefined
  return {
    request(sample) {
      const operation = operationLabel(sample.operation)
      const labels = { operation, transport: sample.transport, outcome: sample.outcome }
      const namespace = namespaces.has(sample.namespaceName) ? sample.namespaceName : 'other'
      request.total.inc({ ...labels, namespace })
      request.duration.observe(labels, sample.durationMs / 1000)
      for (const [stage, ms] of Object.entries(sample.stageMs)) {
        request.stage.observe({ operation, stage: stageLabel(stage) }, ms / 1000)
      }
    },
    failure: (component) => errors.inc({ component }),
    observePool: (read) => registry.registerMetric(poolGauge(read)),
    daemonConnections: (count) => background.daemon.set(count),
    purged(rows, lagSeconds) {
      background.purgedRows.inc(rows)
      background.purgeLag.set(lagSeconds)
    },
    rateLimited: (limit) => background.rateLimited.inc({ limit }),
    rateLimitDegraded: (isDegraded) => background.rateLimitDegraded.set(isDegraded ? 1 : 0),
    vectorPartition(outcome, durationSeconds) {
      background.partitions.inc({ outcome })
      if (outcome === 'promoted') background.promotion.set(durationSeconds)
    },
    certificateExpires(at) {
      // Made when there is one: without TLS a time of 0 would set off every alarm.
      certificate ??= new Gauge({
        name: 'mindglue_certificate_expiry_timestamp_seconds',
        help: 'When the certificate that is served expires, in seconds since the epoch.',
        registers,
      })
      certificate.set(at.getTime() / 1000)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

function requestMetrics(registers: Registry[]) {
  return {
    total: new Counter({
      name: 'mindglue_requests_total',
      help: 'Finished requests; outcome is ok or the code of the error.',
      labelNames: ['operation', 'transport', 'outcome', 'namespace'],
      registers,
    }),
    duration: new Histogram({
      name: 'mindglue_request_duration_seconds',
      help: 'Time from the parsed request to the answer.',
      labelNames: ['operation', 'transport', 'outcome'],
      buckets: durationBuckets,
      registers,
    }),
    stage: new Histogram({
      name: 'mindglue_stage_duration_seconds',
      help: 'Time of each step of the pipeline.',
      labelNames: ['operation', 'stage'],
      buckets: durationBuckets,
      registers,
    }),
  }
}

function backgroundMetrics(registers: Registry[]) {
  return {
    daemon: new Gauge({
      name: 'mindglue_daemon_connections',
      help: 'Clients connected to the local daemon.',
      registers,
    }),
    purgedRows: new Counter({
      name: 'mindglue_expired_purged_total',
      help: 'Expired memories erased.',
      registers,
    }),
    rateLimited: new Counter({
      name: 'mindglue_rate_limited_total',
      help: 'Requests refused by the limit of a namespace, a key, or wrong keys of an address.',
      labelNames: ['limit'],
      registers,
    }),
    rateLimitDegraded: new Gauge({
      name: 'mindglue_rate_limit_degraded',
      help: '1 while each process keeps to its part of the limits because Redis is away.',
      registers,
    }),
    purgeLag: new Gauge({
      name: 'mindglue_purge_lag_seconds',
      help: 'How long the oldest memory of the last purge had been expired.',
      registers,
    }),
    partitions: new Counter({
      name: 'mindglue_vector_partitions_total',
      help: 'Namespaces that were given a partition with an approximate index, or lost it.',
      labelNames: ['outcome'],
      registers,
    }),
    promotion: new Gauge({
      name: 'mindglue_vector_promotion_seconds',
      help: 'How long the last such partition took to build.',
      registers,
    }),
  }
}

function poolGauge(read: () => PoolReading | Promise<PoolReading>): Gauge<'state'> {
  return new Gauge({
    name: 'mindglue_pool_connections',
    help: 'Database connections in use, and requests that wait for one.',
    labelNames: ['state'],
    registers: [],
    async collect() {
      const reading = await readOrNothing(read)
      this.reset()
      if (reading === undefined) return
      this.set({ state: 'in_use' }, reading.inUse)
      this.set({ state: 'waiting' }, reading.waiting)
    },
  })
}

/** A database that is down must not take the other figures of the scrape with it. */
async function readOrNothing<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch {
    // Lost: one reading. The failure itself is counted and logged where it happens.
    return undefined
  }
}

/** Passes the first `countMax` well-formed values through and turns every other into `other`. */
function closedSet(countMax: number): (value: string) => string {
  const seen = new Set<string>()
  return (value) => {
    if (seen.has(value)) return value
    if (seen.size >= countMax || !/^[a-z][a-z0-9._-]{0,40}$/u.test(value)) return 'other'
    seen.add(value)
    return value
  }
}
