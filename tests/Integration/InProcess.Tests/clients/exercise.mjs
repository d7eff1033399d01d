// What all clients do. ClientsTest reads the lines of JSON that they write about it.
// Run: node CLIENT.mjs '[{"url","key","limitedKey","model","embedder"}]'
export const question = 'What is two plus three?';
export const system = 'You answer.';
export const tool = {
  name: 'add',
  description: 'Adds two numbers.',
  parameters: {
    type: 'object',
    properties: {
      a: { type: 'integer', minimum: 0, maximum: 9 }, b: { type: 'integer', minimum: 0, maximum: 9 },
    },
    required: ['a', 'b'],
    additionalProperties: false,
  },
};
export const schema = {
  type: 'object',
  properties: { n: { type: 'integer', minimum: 0, maximum: 9 }, color: { type: 'string', enum: ['red', 'blue'] } },
  required: ['n', 'color'],
  additionalProperties: false,
};
export const texts = ['A cat sits outside.', 'A kitten.'];
export const maxTokens = 24;

// Sends the requests that fail. `chat` sends a chat with a key, a model and top_p; `read` gets status and message.
export async function errors(settings, chat, read) {
  const error = async (call) => {
    try {
      await call();
      return null;
    } catch (e) {
      return read(e);
    }
  };
  return {
    key: await error(() => chat('slk_wrong', settings.model, 1)),
    model: await error(() => chat(settings.key, 'none', 1)),
    field: await error(() => chat(settings.key, settings.model, 2)),
    limit: await error(async () => {
      for (let sent = 0; sent < 5; sent++) await chat(settings.limitedKey, settings.model, 1);
    }),
  };
}

// Uses the models of each settings, and writes a line for each.
export async function run(use) {
  for (const settings of JSON.parse(process.argv[2])) console.log(JSON.stringify({ seen: await use(settings) }));
}
