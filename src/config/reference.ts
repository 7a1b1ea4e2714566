/** Prints the reference page of all settings; a test keeps `docs/configuration.md` equal to it. */
import { hasFileVariant, settingGroups, settings, showValue, type Setting } from './settings.ts'

/** The reference page for `docs/configuration.md`: one table per group, aligned as Prettier does. */
export function configurationReference(): string {
  const sections = Object.entries(settingGroups).map(([group, title]) => {
    const all: readonly Setting<unknown>[] = Object.values(settings)
    const rows = all
      .filter((setting) => setting.group === group)
      .map((setting) => [`\`${setting.name}\``, defaultText(setting), describe(setting)])
    return `## ${title}\n\n${table([['Setting', 'Default', 'What it does'], ...rows])}`
  })
  return `# Configuration\n\n${referenceIntroduction}\n\n${sections.join('\n\n')}\n`
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [heading = [], ...body] = rows
  const rule = widths.map((width) => '-'.repeat(width))
  return [line(heading), line(rule), ...body.map((row) => line(row))].join('\n')
}

function describe(setting: Setting<unknown>): string {
  if (!setting.secret) return setting.description
  const file = hasFileVariant(setting) ? `, or a path in \`${setting.name}_FILE\`` : ''
  return `${setting.description} Secret${file}.`
}

function defaultText(setting: Setting<unknown>): string {
  if (setting.fallbackText !== undefined) return setting.fallbackText
  const value = setting.fallback()
  const unit = setting.unit === undefined ? '' : ` ${setting.unit}`
  return value === undefined ? 'unset' : `\`${showValue(value)}\`${unit}`
}

const referenceIntroduction = `Settings are environment variables; \`mindglue config\` prints the effective values and where each
came from, with secrets masked. An empty value, or a literal \`\${NAME}\` that a client did not
expand, counts as unset. An unknown \`MINDGLUE_*\` name stops the start with the nearest known one,
since a mistyped setting must never lead to another, empty store. This page is printed from
\`src/config/settings.ts\` by \`mindglue config --reference\`; a test keeps it true.`
