/** Prints which bindings are broken in the sources that this process loaded. */
import { brokenBindings } from './binding-probes.ts'

process.stdout.write(`${JSON.stringify(await brokenBindings())}\n`)
