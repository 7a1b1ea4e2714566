/** The version of the program, read from its own package.json: the one place it is written. */
import { readFileSync } from 'node:fs'

/** Semantic version such as `0.1.0`. */
export const version: string = readVersion()

function readVersion(): string {
  // One level up from src/ and from dist/ alike. An import would warn about JSON on Node 20.
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const manifest: unknown = JSON.parse(text)
  const found: unknown =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest
      ? manifest.version
      : undefined
  if (typeof found !== 'string') throw new Error('package.json holds no version')
  return found
}
