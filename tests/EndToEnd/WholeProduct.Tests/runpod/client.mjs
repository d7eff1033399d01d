// RunPod's own client, unmodified, against a gateway of ours. Usage: node client.mjs BASE_URL KEY; prints one JSON document.
import runpodSdk from 'runpod-sdk'

const [baseUrl, key] = process.argv.slice(2)
const endpoint = runpodSdk(key, { baseUrl }).endpoint('stub')
const seen = {}
// The client's own limit is 3 s, which is too little for a busy machine.
const patience = 60000

const submitted = await endpoint.run({ input: { do: 'sleep', ms: 1, text: 'hello' } }, patience)
seen.run = submitted
for (;;) {
  seen.status = await endpoint.status(submitted.id, patience)
  if (seen.status.completed) break
}

seen.runSync = await endpoint.runSync({ input: { do: 'echo', n: 1 } })
seen.runSyncLong = await endpoint.runSync({ input: { do: 'sleep', ms: 2500 } }, 1000).then(() => 'ended', (e) => String(e)).catch(String)
seen.statusSync = await endpoint.statusSync(submitted.id, 5000)

const streaming = await endpoint.run({ input: { do: 'stream', chunks: 20, ms: 10 } }, patience)
seen.stream = []
for await (const part of endpoint.stream(streaming.id)) seen.stream.push(part.output)

// A job of the built-in worker, without any field of ours.
const story = runpodSdk(key, { baseUrl }).endpoint('story')
const text = await story.run({ input: { text_input: 'Once', max_tokens: 12, seed: 1, ignore_eos: true } }, patience)
seen.text = []
for await (const part of story.stream(text.id)) seen.text.push(part.output)
seen.textStatus = await story.status(text.id, patience)

const long = await endpoint.run({ input: { do: 'sleep', ms: 60000 } }, patience)
seen.cancel = await endpoint.cancel(long.id, patience)
seen.cancelled = await endpoint.status(long.id, patience)

const waiting = []
for (let i = 0; i < 30; i++) waiting.push((await endpoint.run({ input: { do: 'sleep', ms: 60000 } }, patience)).id)
seen.health = await endpoint.health(patience)
seen.purgeQueue = await endpoint.purgeQueue(patience)
for (const id of waiting) await endpoint.cancel(id, patience)
seen.failed = await endpoint.runSync({ input: { do: 'error' } })
try {
  await endpoint.status('no-such-job', patience)
  seen.unknown = 'no error'
} catch (e) {
  seen.unknown = e.response?.status
}

console.log(JSON.stringify(seen))
