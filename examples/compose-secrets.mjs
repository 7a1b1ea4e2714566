/** Makes the secrets of compose.yaml once: each service gets a folder with those it needs, 0400. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { argv, getuid, stdout } from 'node:process'

/** Where the volumes are mounted; another folder may be given to try it out. */
const root = argv[2] ?? '/secrets'
/** Users inside the images: `postgres` of the PostgreSQL image, `node` of ours. */
const users = { postgres: 999, migrate: 1000, server: 1000 }

/** Reads a secret or makes it. What exists is never replaced: it is the key to the data. */
function keep(service, name, make) {
  const folder = join(root, service)
  const path = join(folder, name)
  if (existsSync(path)) return readFileSync(path, 'utf8')
  const value = make()
  mkdirSync(folder, { recursive: true })
  const unfinished = `${path}.unfinished`
  writeFileSync(unfinished, value, { mode: 0o400 })
  if (getuid?.() === 0) chownSync(unfinished, users[service], users[service])
  renameSync(unfinished, path)
  stdout.write(`made ${service}/${name}\n`)
  return value
}

const random = () => randomBytes(32).toString('base64url')
// Inside the private network of the composition the database is spoken to without TLS.
const url = (user, password) =>
  `postgres://${user}:${password}@postgres:5432/mindglue?sslmode=disable`

const administrator = keep('postgres', 'password', random)
keep('migrate', 'migration-database-url', () => url('mindglue_admin', administrator))
keep('server', 'database-url', () => url('mindglue_app', random()))
keep('server', 'secret', () => randomBytes(32).toString('base64'))
keep('server', 'api-key', random)
keep('server', 'root-key', () => randomBytes(32).toString('base64'))

// The server writes here; nobody else may look into it, or it refuses to start.
const keystore = join(root, 'keystore')
mkdirSync(keystore, { recursive: true })
chmodSync(keystore, 0o700)
if (getuid?.() === 0) chownSync(keystore, users.server, users.server)
