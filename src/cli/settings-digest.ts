/** What a client and the daemon it attaches to must agree on, as digests by class. */
import { createHash } from 'node:crypto'
import { settings, settingGroups, type SettingGroup } from '../config/settings.ts'
import type { Config, SettingKey } from '../config.ts'
import type { SettingsDigest } from '../daemon/hello.ts'

/** Other groups belong to one process (identity, log level) or do not exist in a daemon (HTTP). */
const sharedGroups: readonly SettingGroup[] = ['embedder', 'keys']

/**
 * One digest (16 hexadecimal characters) per class; secrets are left out, so a digest can be shown.
 * The data directory is not among them: it is where both meet, under whatever spelling.
 */
export function settingsDigest(config: Config): SettingsDigest {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a const object's keys are its type's
  const keys = Object.keys(settings) as SettingKey[]
  const classes = sharedGroups.map((group): [string, string] => {
    const values = keys
      .filter((key) => settings[key].group === group && !settings[key].secret)
      .map((key) => [settings[key].name, config[key] ?? null])
    const digest = createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 16)
    return [settingGroups[group], digest]
  })
  return Object.fromEntries<string>(classes)
}
