// OpenAI's client.
import OpenAI from 'openai';
import { errors, maxTokens, question, run, schema, system, texts, tool } from './exercise.mjs';

await run(async (settings) => {
  const clientFor = (apiKey) => new OpenAI({ baseURL: settings.url, apiKey, maxRetries: 0 });
  const client = clientFor(settings.key);
  const messages = [{ role: 'system', content: system }, { role: 'user', content: question }];
  const chat = { model: settings.model, messages, temperature: 0, max_tokens: maxTokens };
  const seen = {};

  const whole = await client.chat.completions.create(chat);
  const answer = (choice, usage) => ({
    text: choice.message.content, reason: choice.finish_reason,
    prompt: usage.prompt_tokens, generated: usage.completion_tokens,
  });
  seen.chat = answer(whole.choices[0], whole.usage);
  const stream = client.chat.completions.stream({ ...chat, stream_options: { include_usage: true } });
  let pieces = 0;
  stream.on('content', () => { pieces++; });
  const final = await stream.finalChatCompletion();
  seen.stream = { ...answer(final.choices[0], final.usage), pieces };

  const tools = [{ type: 'function', function: { ...tool, strict: true } }];
  const callOf = (choice) => {
    const [call] = choice.message.tool_calls;
    return {
      id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments),
      reason: choice.finish_reason,
    };
  };
  const { max_tokens: _, ...unbounded } = chat;
  const called = await client.chat.completions.create({ ...unbounded, tools, tool_choice: 'required' });
  seen.call = callOf(called.choices[0]);
  seen.callStream = callOf((await client.chat.completions.stream(
    { ...unbounded, tools, tool_choice: 'required' }).finalChatCompletion()).choices[0]);
  seen.afterCall = (await client.chat.completions.create({
    ...chat, tools, tool_choice: 'none',
    messages: [...messages, called.choices[0].message, { role: 'tool', tool_call_id: seen.call.id, content: '5' }],
  })).choices[0].message.content;
  seen.object = JSON.parse((await client.chat.completions.create({
    ...unbounded, response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
  })).choices[0].message.content);
  seen.embeddings = (await client.embeddings.create({ model: settings.embedder, input: texts })).data
    .map((d) => [...d.embedding]);
  seen.errors = await errors(
    settings,
    (key, model, top_p) => clientFor(key).chat.completions.create({ ...chat, model, top_p }),
    (e) => ({ status: e.status, message: e.message }));
  if (settings.fails) {
    try {
      for await (const _ of await client.chat.completions.create(
        { ...chat, stream: true, messages: [{ role: 'user', content: 'FAIL' }] }));
    } catch (e) {
      seen.errors.inStream = e.message;
    }
  }
  return seen;
});
