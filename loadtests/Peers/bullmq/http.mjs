// BullMQ with HTTP on both sides, as people put it in front of a model: a process that takes POST /run and adds a job, and one whose handler posts the job to
// a worker that does nothing. Usage: node http.mjs front HTTP_PORT REDIS_PORT REDIS_PASSWORD, and
// node http.mjs work HTTP_PORT REDIS_PORT REDIS_PASSWORD WORKER_PORT CONCURRENCY (GET / answers how many jobs have completed). No keys, no limits, no fairness.
import http from 'node:http'
import { Queue, Worker } from 'bullmq'
import { Pool } from 'undici'

const [role, httpPort, port, password, workerPort, concurrency] = process.argv.slice(2)
const connection = { host: '127.0.0.1', port: Number(port), password }
const name = 'http'

async function front() {
  const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: 1000, attempts: 3 } })
  await queue.waitUntilReady()
  return (request, response) => {
    const parts = []
    request.on('data', (part) => parts.push(part))
    request.on('end', async () => {
      const job = await queue.add('job', JSON.parse(Buffer.concat(parts)).input)
      const answer = JSON.stringify({ id: job.id, status: 'IN_QUEUE' })
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length }).end(answer)
    })
  }
}

async function work() {
  const pool = new Pool(`http://127.0.0.1:${workerPort}`, { connections: Number(concurrency) })
  let done = 0
  const worker = new Worker(name, async (job) => {
    const { statusCode, body } = await pool.request({ path: '/', method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ id: job.id, input: job.data }) })
    if (statusCode !== 200) throw new Error(`the worker answered ${statusCode}`)
    return body.json()
  }, { connection, concurrency: Number(concurrency) })
  worker.on('completed', () => done++)
  await worker.waitUntilReady()
  return (_, response) => response.end(String(done))
}

http.createServer(await (role === 'front' ? front() : work())).listen(Number(httpPort), '127.0.0.1', () => console.log('ready'))
