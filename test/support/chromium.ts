/** A real browser, where there is one: `scripts/dev-services.sh` gets it. */
import { existsSync } from 'node:fs'

const places = [process.env['TEST_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser']

/** Path of its program; undefined where there is none, and tests with it are left out. */
export const chromiumPath = places.find((path) => path !== undefined && existsSync(path))
