// Uses /v1/responses of a gateway with the official client, and writes what it got as one line of JSON.
// Run: node responses.mjs URL KEY MODEL
import OpenAI from 'openai';

const [url, key, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const input = 'What is two plus three?';
const tools = [{
  type: 'function', name: 'add', description: 'Adds.', strict: true,
  parameters: {
    type: 'object', properties: { a: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['a'],
    additionalProperties: false,
  },
}];
const schema = {
  type: 'object', properties: { n: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['n'],
  additionalProperties: false,
};
const seen = {};

async function error(call) {
  try {
    await call();
  } catch (e) {
    const { status, type, param, code, message } = e;
    return { kind: e.constructor.name, status, type, param, code, message };
  }
}

seen.whole = await client.responses.create({ model, input, temperature: 0, max_output_tokens: 20 });
const stream = client.responses.stream({ model, input, temperature: 0, max_output_tokens: 20 });
seen.events = [];
seen.deltas = '';
stream.on('event', (e) => seen.events.push(e));
stream.on('response.output_text.delta', (e) => { seen.deltas += e.delta; });
seen.streamed = await stream.finalResponse();
seen.parsed = (await client.responses.parse({
  model, input, temperature: 0, text: { format: { type: 'json_schema', name: 'answer', schema, strict: true } },
})).output_parsed;
seen.call = await client.responses.create({ model, input, temperature: 0, tools, tool_choice: 'required' });
const call = seen.call.output.find((item) => item.type === 'function_call');
seen.next = await client.responses.create({
  model, tools, temperature: 0, max_output_tokens: 20, previous_response_id: seen.call.id,
  input: [{ type: 'function_call_output', call_id: call.call_id, output: '5' }],
});
seen.got = await client.responses.retrieve(seen.next.id);
seen.items = [];
for await (const item of client.responses.inputItems.list(seen.next.id, { limit: 2, order: 'asc' })) seen.items.push(item);
await client.responses.delete(seen.next.id);
seen.unstored = await client.responses.create({ model, input, max_output_tokens: 2, store: false });
seen.errors = {
  deleted: await error(() => client.responses.retrieve(seen.next.id)),
  unstored: await error(() => client.responses.retrieve(seen.unstored.id)),
  previous: await error(() => client.responses.create({ model, input, previous_response_id: seen.next.id })),
  image: await error(() => client.responses.create({
    model, input: [{ role: 'user', content: [{ type: 'input_image', detail: 'auto', image_url: 'https://x/y.png' }] }],
  })),
  tool: await error(() => client.responses.create({ model, input, tools: [{ type: 'web_search' }] })),
  worker: await error(() => client.responses.create({ model, input, max_output_tokens: -1 })),
  model: await error(() => client.responses.create({ model: 'none', input })),
};
console.log(JSON.stringify(seen));
