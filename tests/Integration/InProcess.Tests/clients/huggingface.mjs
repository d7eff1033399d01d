// Hugging Face's client.
import { InferenceClient } from '@huggingface/inference';
import { errors, maxTokens, question, run, schema, system, texts, tool } from './exercise.mjs';

await run(async (settings) => {
  const clientFor = (key) => new InferenceClient(key, { endpointUrl: settings.url });
  const client = clientFor(settings.key);
  const messages = [{ role: 'system', content: system }, { role: 'user', content: question }];
  const chat = { model: settings.model, messages, temperature: 0, max_tokens: maxTokens };
  const { max_tokens: _, ...unbounded } = chat;
  const seen = {};

  const whole = await client.chatCompletion(chat);
  seen.chat = {
    text: whole.choices[0].message.content, reason: whole.choices[0].finish_reason,
    prompt: whole.usage.prompt_tokens, generated: whole.usage.completion_tokens,
  };
  // Joins the pieces of a stream as callers do.
  const read = async (request) => {
    const got = { text: '', pieces: 0, call: { id: '', name: '', arguments: '' } };
    for await (const chunk of client.chatCompletionStream({ ...request, stream_options: { include_usage: true } })) {
      if (chunk.usage) {
        got.prompt = chunk.usage.prompt_tokens;
        got.generated = chunk.usage.completion_tokens;
      }
      const [choice] = chunk.choices;
      if (!choice) continue;
      if (choice.delta.content) {
        got.text += choice.delta.content;
        got.pieces++;
      }
      for (const part of choice.delta.tool_calls ?? []) {
        got.call.id += part.id ?? '';
        got.call.name += part.function.name ?? '';
        got.call.arguments += part.function.arguments ?? '';
      }
      if (choice.finish_reason) got.reason = choice.finish_reason;
    }
    return got;
  };
  const { call: none, ...stream } = await read(chat);
  seen.stream = stream;

  const tools = [{ type: 'function', function: tool }];
  const called = (await client.chatCompletion({ ...unbounded, tools, tool_choice: 'required' })).choices[0];
  const [call] = called.message.tool_calls;
  seen.call = {
    id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments), reason: called.finish_reason,
  };
  const streamed = await read({ ...unbounded, tools, tool_choice: 'required' });
  seen.callStream = {
    ...streamed.call, arguments: JSON.parse(streamed.call.arguments), reason: streamed.reason,
  };
  seen.afterCall = (await client.chatCompletion({
    ...chat, tools, tool_choice: 'none',
    messages: [...messages, called.message, { role: 'tool', tool_call_id: call.id, content: '5' }],
  })).choices[0].message.content;
  seen.object = JSON.parse((await client.chatCompletion({
    ...unbounded, response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
  })).choices[0].message.content);

  // For embeddings, the client has OpenAI's form only for named providers. The requests of one are sent to the gateway;
  // the client would ask Hugging Face which model the provider has.
  const redirect = (url, init) => {
    const { origin, pathname } = new URL(url);
    if (origin === 'https://api.scaleway.ai') return fetch(new URL(pathname, settings.url), init);
    return Response.json({
      inferenceProviderMapping: {
        scaleway: { providerId: settings.embedder, status: 'live', task: 'feature-extraction' },
      },
    });
  };
  seen.embeddings = await new InferenceClient(settings.key).featureExtraction(
    { provider: 'scaleway', model: settings.embedder, inputs: texts }, { fetch: redirect });
  seen.errors = await errors(
    settings,
    (key, model, top_p) => clientFor(key).chatCompletion({ ...chat, model, top_p }),
    (e) => ({ status: e.httpResponse.status, message: e.httpResponse.body.error.message }));
  if (settings.fails) {
    try {
      await read({ ...chat, messages: [{ role: 'user', content: 'FAIL' }] });
    } catch (e) {
      seen.errors.inStream = e.message;
    }
  }
  return seen;
});
