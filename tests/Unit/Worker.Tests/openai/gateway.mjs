// Uses the OpenAI API of a gateway with the official client, and writes what it got as one line of JSON.
// Run: node gateway.mjs URL KEY ADMIN_KEY
import OpenAI from 'openai';

const [url, key, adminKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const admin = new OpenAI({ baseURL: url, apiKey: adminKey, maxRetries: 0 });
const stranger = new OpenAI({ baseURL: url, apiKey: 'slk_wrong', maxRetries: 0 });
const completion = { model: 'story', prompt: 'Once upon a time', max_tokens: 20, temperature: 0 };
const seen = {};

async function error(call) {
  try {
    await call();
  } catch (e) {
    const { status, type, param, code, message } = e;
    return { kind: e.constructor.name, status, type, param, code, message };
  }
}

seen.models = await client.models.list();
seen.model = await client.models.retrieve('story');
const messages = [{ role: 'user', content: 'What is two plus three?' }];
seen.chat = await client.chat.completions.create({ model: 'story', messages, temperature: 0 });
seen.whole = await client.completions.create(completion);
seen.stream = [];
for await (const chunk of await client.completions.create({ ...completion, stream: true })) seen.stream.push(chunk);
seen.embeddings = await client.embeddings.create({ model: 'embed', input: ['A cat sits outside.', 'A kitten.'] });
seen.errors = {
  unknown: await error(() => admin.completions.create({ ...completion, model: 'storey' })),
  retrieve: await error(() => admin.models.retrieve('none')),
  forbidden: await error(() => client.completions.create({ ...completion, model: 'digits' })),
  missing: await error(() => client.completions.create({ prompt: 'a' })),
  key: await error(() => stranger.models.list()),
  worker: await error(() => client.completions.create({ ...completion, temperature: 'hot' })),
};
console.log(JSON.stringify(seen));
