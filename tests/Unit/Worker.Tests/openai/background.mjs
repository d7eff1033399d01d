// Streams a response in the background from a gateway that is killed, and continues at another one.
// Run: node background.mjs FIRST_URL SECOND_URL KEY MODEL INPUT DELTA
// Writes "reached" after DELTA, "cut" when the stream has ended, and what it got as one line of JSON.
import OpenAI from 'openai';

const [first, second, apiKey, model, input, delta] = process.argv.slice(2);
const one = new OpenAI({ baseURL: first, apiKey, maxRetries: 0 });
const two = new OpenAI({ baseURL: second, apiKey, maxRetries: 2 });
const events = [];
try {
  for await (const event of await one.responses.create({ model, input, background: true, stream: true })) {
    events.push(event);
    if (event.delta === delta) console.log('reached');
  }
  console.log('cut without an error');
} catch {
  console.log('cut');
}

const id = events[0].response.id;
const rest = await two.responses.retrieve(id, { stream: true, starting_after: events.at(-1).sequence_number });
for await (const event of rest) events.push(event);
const got = await two.responses.retrieve(id);
const helped = (await two.responses.stream({ response_id: id }).finalResponse()).output[0].content[0].text;
const cancelled = await two.responses.cancel(id);
console.log(JSON.stringify({ events, got, helped, cancelled }));
