/** The probe of Redis: true while the server answers, false while it is gone, and true again. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { openRedisProbe, type RedisProbe } from '../../src/sidecar/redis-probe.ts'

const sockets = new Set<Socket>()
let server: Server | undefined
let probe: RedisProbe | undefined

afterEach(async () => {
  probe?.close()
  await stop()
})

/** Speaks as much of the protocol (RESP2) as the driver asks for when it connects and pings. */
async function start(port = 0): Promise<number> {
  const running = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      for (const command of data.toString().matchAll(/\$\d+\r\n(ping|info|client|hello)\r\n/giu)) {
        const name = command[1]?.toLowerCase()
        socket.write(
          name === 'info' ? '$9\r\nloading:0\r\n' : name === 'ping' ? '+PONG\r\n' : '+OK\r\n',
        )
      }
    })
  })
  server = running
  await new Promise<void>((resolve) => running.listen(port, '127.0.0.1', resolve))
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server has this address
  return (running.address() as AddressInfo).port
}

async function stop(): Promise<void> {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
  server = undefined
}

test('a server that goes and comes back is seen each time', async () => {
  const port = await start()
  const opened = await openRedisProbe(`redis://127.0.0.1:${port}`)
  probe = opened
  expect(await opened.check()).toEqual({ name: 'redis', ok: true })
  await stop()
  await expect.poll(() => opened.check()).toEqual({ name: 'redis', ok: false, detail: 'no answer' })
  await start(port)
  await expect.poll(() => opened.check(), { timeout: 10_000 }).toEqual({ name: 'redis', ok: true })
})

test('no server at the start is a refusal that shows no password', async () => {
  await expect(openRedisProbe('redis://:pa55word@127.0.0.1:1')).rejects.toMatchObject({
    code: 'misconfigured',
    publicMessage: expect.not.stringContaining('pa55word') as unknown,
  })
})

test.runIf(process.env['TEST_REDIS_URL'] !== undefined)('a real server answers', async () => {
  probe = await openRedisProbe(process.env['TEST_REDIS_URL'] ?? '')
  expect(await probe.check()).toEqual({ name: 'redis', ok: true })
})
