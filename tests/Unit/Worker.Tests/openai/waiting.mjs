// Waits for the only slot of a gateway with the official client, and writes what it got as one line of JSON.
// Run: node waiting.mjs URL KEY
import OpenAI from 'openai';

const [url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key });
const holder = new AbortController();
const seen = {};

// Requests that use the slot until they are aborted.
async function hold(signal) {
  const body = JSON.stringify({ model: 'stub', ms: 600000 });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  while (!signal.aborted) await fetch(`${url}/chat/completions`, { method: 'POST', body, headers, signal }).catch(() => {});
}

// The client of a stream, which calls back at the first comment.
function watching(onComment) {
  return client.withOptions({
    fetch: async (...args) => {
      const response = await fetch(...args);
      const [mine, theirs] = response.body.tee();
      (async () => {
        const { value } = await mine.getReader().read();
        if (new TextDecoder().decode(value).startsWith(': waiting')) onComment();
      })();
      return new Response(theirs, response);
    },
  });
}

async function error(call) {
  try {
    await call();
  } catch (e) {
    return e.message;
  }
}

async function read(stream) {
  let text = '';
  for await (const chunk of await stream) text += chunk.choices[0].text;
  return text;
}

const request = { model: 'stub', prompt: 'a', do: 'marked' };
hold(holder.signal);
let started;
do {
  // The slot is in use when a request waits long enough for a comment.
  started = false;
  seen.text = await read(watching(() => {
    started = true;
    holder.abort();
  }).completions.create({ ...request, stream: true }));
} while (!started);
const second = new AbortController();
hold(second.signal);
seen.stream = await error(async () => {
  while (true) await read(client.completions.create({ ...request, stream: true }));
});
seen.whole = await error(() => client.completions.create({ ...request, do: 'whole' }));
second.abort();
console.log(JSON.stringify(seen));
