// BullMQ with a worker that does nothing, in one process with its adders: GET /?jobs=N&concurrency=C answers jobs a second, from the
// first add to the last completion; it removes all but the last 1000 that ended, or none with &keep. Usage: node bench.mjs HTTP_PORT REDIS_PORT REDIS_PASSWORD
import http from 'node:http'
import { Queue, Worker } from 'bullmq'

const [httpPort, port, password] = process.argv.slice(2)
const connection = { host: '127.0.0.1', port: Number(port), password }
let round = 0

async function run(jobs, concurrency, keep) {
  const name = `bench-${round++}`
  const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: keep ? false : 1000, attempts: 3 } })
  await queue.waitUntilReady()
  let done = 0
  let finished
  const all = new Promise((resolve) => (finished = resolve))
  const worker = new Worker(name, async () => ({ ok: true }), { connection, concurrency })
  worker.on('completed', () => { if (++done === jobs) finished() })
  await worker.waitUntilReady()
  const started = process.hrtime.bigint()
  let next = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (next++ < jobs) await queue.add('job', { x: 1 })
  }))
  await all
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  await worker.close()
  await queue.obliterate({ force: true })
  await queue.close()
  return jobs / seconds
}

http.createServer(async (request, response) => {
  const query = new URL(request.url, 'http://x').searchParams
  response.end(String(await run(Number(query.get('jobs')), Number(query.get('concurrency')), query.has('keep'))))
}).listen(Number(httpPort), '127.0.0.1', () => console.log('ready'))
