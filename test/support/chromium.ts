/** A real browser, where there is one: `scripts/dev-services.sh` gets it. */
import type { Browser } from 'playwright-core'
import { existsSync } from 'node:fs'

const places = [process.env['TEST_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser']

/** Path of its program; undefined where there is none, and tests with it are left out. */
export const chromiumPath = places.find((path) => path !== undefined && existsSync(path))

/** Loaded here: the configuration of the tests asks for the path alone. */
export async function launchChromium(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  return await chromium.launch({
    ...(chromiumPath !== undefined && { executablePath: chromiumPath }),
    // The tests may run as root, whom its sandbox does not serve.
    args: ['--no-sandbox'],
  })
}
