// Runs batches at a gateway with the official client, and writes what it got as one line of JSON.
// Run: node batches.mjs URL KEY MODEL LINES
import OpenAI, { toFile } from 'openai';

const [url, key, model, lines] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 2 });
const seen = {};

async function error(call) {
  try {
    await call();
  } catch (e) {
    const { status, type, param, code, message } = e;
    return { kind: e.constructor.name, status, type, param, code, message };
  }
}

async function upload(rows) {
  const jsonl = rows.map((row) => JSON.stringify(row)).join('\n');
  return client.files.create({ file: await toFile(Buffer.from(jsonl), 'rows.jsonl'), purpose: 'batch' });
}

async function run(rows, more = {}) {
  const file = await upload(rows);
  let batch = await client.batches.create({
    input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', ...more,
  });
  while (!batch.completed_at && !batch.failed_at && !batch.cancelled_at && !batch.expired_at) {
    batch = await client.batches.retrieve(batch.id);
  }
  return { file, batch };
}

const row = (n, body) => ({
  custom_id: `row-${n}`, method: 'POST', url: '/v1/chat/completions', body: { model, messages: [], ...body },
});
const rows = Array.from({ length: Number(lines) }, (_, n) => row(n, { n }));
rows[3].body.status = 400;
const { file, batch } = await run(rows, { metadata: { run: 'one' } });
Object.assign(seen, { file, batch });
const read = async (id) => (await (await client.files.content(id)).text()).trim().split('\n').map((l) => JSON.parse(l));
seen.output = await read(batch.output_file_id);
seen.failed = await read(batch.error_file_id);
seen.files = [];
for await (const one of client.files.list({ limit: 2 })) seen.files.push(one.id);
seen.batches = [];
for await (const one of client.batches.list({ limit: 1 })) seen.batches.push(one.id);

const invalid = rows.slice(0, 6).map((r) => structuredClone(r));
invalid[1].method = 'GET';
invalid[2].custom_id = 'row-0';
invalid[4].body.model = 'none';
invalid[5].body.stream = true;
seen.invalid = (await run(invalid)).batch;

seen.deleted = await client.files.delete(file.id);
seen.errors = {
  gone: await error(() => client.files.retrieve(file.id)),
  purpose: await error(async () => client.files.create({ file: await toFile(Buffer.from('x'), 'x'), purpose: 'vision' })),
  window: await error(() => client.batches.create({
    input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: 'soon',
  })),
  endpoint: await error(() => client.batches.create({ input_file_id: file.id, endpoint: '/v1/x', completion_window: '24h' })),
  ended: await error(() => client.batches.cancel(batch.id)),
};
console.log(JSON.stringify(seen));
