// Uses the OpenAI API of a worker with the official client, and writes what it got as one line of JSON.
// Run: node client.mjs URL KEY MODEL
import OpenAI from 'openai';

const [url, key, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const messages = [
  { role: 'system', content: 'You answer.' },
  { role: 'user', content: 'What is 1 + 1? <|eot_id|>' },
];
const seen = {};

async function error(call) {
  try {
    await call();
  } catch (e) {
    return { status: e.status, type: e.type, param: e.param, code: e.code, message: e.message };
  }
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const chat = { model, messages, max_tokens: 12, temperature: 0 };
seen.models = await client.models.list();
seen.model = await client.models.retrieve(model);
seen.chat = await client.chat.completions.create(chat);
seen.again = await client.chat.completions.create(chat);
seen.stream = await collect(await client.chat.completions.create(
  { ...chat, stream: true, stream_options: { include_usage: true } }));
seen.several = await client.chat.completions.create(
  { ...chat, n: 3, temperature: 1, seed: 5, logprobs: true, top_logprobs: 2 });
seen.severalStream = await collect(await client.chat.completions.create(
  { ...chat, n: 3, temperature: 1, seed: 5, stream: true }));
const final = await client.chat.completions.stream({ ...chat }).finalChatCompletion();
seen.helper = final.choices[0].message.content;
seen.completion = await client.completions.create(
  { model, prompt: ['Once', 'Upon a'], max_tokens: 4, temperature: 0, logprobs: 2, echo: true });
seen.completionStream = await collect(await client.completions.create(
  { model, prompt: 'Once', max_tokens: 4, temperature: 0, stream: true }));
seen.nulls = (await client.chat.completions.create(
  { ...chat, top_p: null, stop: null, n: null, seed: null, stream: null })).choices[0].message.content;
const schema = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 8 }, sums: { type: 'array', items: { type: 'integer' }, maxItems: 3 } },
  required: ['name', 'sums'],
  additionalProperties: false,
};
const format = (schema) => ({ type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } });
seen.schema = (await client.chat.completions.create(
  { ...chat, max_tokens: 200, temperature: 1, seed: 3, n: 3, response_format: format(schema) })).choices
  .map((c) => ({ value: JSON.parse(c.message.content), reason: c.finish_reason }));
const tools = ['add', 'subtract'].map((name) => ({
  type: 'function',
  function: {
    name,
    description: `Returns the result of ${name}.`,
    parameters: {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' } },
      required: ['a', 'b'],
      additionalProperties: false,
    },
    strict: true,
  },
}));
const call = { ...chat, max_tokens: 400, temperature: 1, seed: 4, tools };
seen.call = await client.chat.completions.create({ ...call, tool_choice: 'required', parallel_tool_calls: false });
seen.callStream = await collect(await client.chat.completions.create(
  { ...call, tool_choice: 'required', parallel_tool_calls: false, stream: true }));
seen.named = await client.chat.completions.create(
  { ...call, tool_choice: { type: 'function', function: { name: 'subtract' } } });
seen.toolResult = await client.chat.completions.create({
  ...chat,
  tools,
  messages: [...messages,
    { role: 'assistant', content: null, tool_calls: seen.call.choices[0].message.tool_calls },
    { role: 'tool', tool_call_id: seen.call.choices[0].message.tool_calls[0].id, content: '2' }],
});
seen.embeddings = await client.embeddings.create(
  { model: 'minilm', input: ['A cat sits outside.', 'A kitten is outdoors.', 'Interest rates rise.'] });
seen.floats = await client.embeddings.create({ model: 'minilm', input: 'A cat sits outside.', encoding_format: 'float' });
// The same text as the tokens of its tokenizer, as LangChain sends it.
seen.tokens = await client.embeddings.create(
  { model: 'minilm', input: [[101, 1037, 4937, 7719, 2648, 1012, 102]], encoding_format: 'float' });
seen.errors = {
  schema: await error(() => client.chat.completions.create(
    { ...chat, response_format: format({ type: 'object', patternProperties: {} }) })),
  tools: await error(() => client.chat.completions.create(
    { ...chat, tools: [{ type: 'function', function: { name: 'a b' } }] })),
  stop: await error(() => client.chat.completions.create({ ...chat, stop: 'x'.repeat(257) })),
  cache_salt: await error(() => client.chat.completions.create({ ...chat, cache_salt: 'x'.repeat(257) })),
  prompt: await error(() => client.completions.create({ model, prompt: Array(65).fill('a'), n: 2 })),
  parallel_tool_calls: await error(() => client.chat.completions.create({ ...call, parallel_tool_calls: 'no' })),
  input: await error(() => client.embeddings.create({ model: 'minilm', input: [] })),
  model: await error(() => client.chat.completions.create({ ...chat, model: 'none' })),
  temperature: await error(() => client.chat.completions.create({ ...chat, temperature: 'hot' })),
  messages: await error(() => client.chat.completions.create({ ...chat, messages: [] })),
  long: await error(() => client.completions.create({ model, prompt: 'word '.repeat(5000) })),
};
const controller = new AbortController();
const endless = await client.chat.completions.create(
  { ...chat, max_tokens: 4000, ignore_eos: true, stream: true }, { signal: controller.signal });
for await (const _ of endless) break;
controller.abort();
console.log(JSON.stringify(seen));
