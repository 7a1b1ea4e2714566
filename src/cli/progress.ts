/** Progress of long work: a bar on stderr where a person watches, nothing where a program reads. */
import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  /** `total` may become known, or better known, on the way. */
  update(done: number, total: number): void
  stop(): void
}

const silent: Progress = { update: () => undefined, stop: () => undefined }

/** Whether a bar would be seen; asking for a total costs something. */
export function isWatched(): boolean {
  return process.stderr.isTTY
}

/** @param unit of `done` and `total`, such as `memories`; bytes are printed as megabytes */
export function startProgress(title: string, unit: 'memories' | 'keys' | 'bytes'): Progress {
  if (!isWatched()) return silent
  const text = (value: number): string =>
    unit === 'bytes' ? `${(value / 1e6).toFixed(1)} MB` : value.toLocaleString('en')
  const bar = new SingleBar(
    {
      stream: process.stderr,
      format: `${title} {bar} {percentage} % · {value} of {total} · {eta_formatted} left`,
      formatValue: (value, _options, kind) =>
        kind === 'value' || kind === 'total' ? text(value) : String(value),
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      fps: 5,
    },
    Presets.shades_classic,
  )
  let hasStarted = false
  return {
    update(done, total) {
      if (!hasStarted) bar.start(total, done)
      hasStarted = true
      bar.setTotal(Math.max(total, done))
      bar.update(done)
    },
    stop() {
      if (hasStarted) bar.stop()
    },
  }
}
