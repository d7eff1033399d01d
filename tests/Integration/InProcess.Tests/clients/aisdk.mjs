// The AI SDK with its provider for APIs like OpenAI's.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, jsonSchema, Output, streamText, tool as toolOf } from 'ai';
import { errors, maxTokens, question, run, schema, system, texts, tool } from './exercise.mjs';

await run(async (settings) => {
  const providerFor = (apiKey) => createOpenAICompatible({
    name: 'sluice', baseURL: settings.url, apiKey, supportsStructuredOutputs: true, includeUsage: true,
  });
  const provider = providerFor(settings.key);
  const chat = {
    model: provider(settings.model), instructions: system, prompt: question, temperature: 0, maxRetries: 0,
    maxOutputTokens: maxTokens,
  };
  const unbounded = { ...chat, maxOutputTokens: undefined };
  const seen = {};
  const answer = (text, reason, usage) =>
    ({ text, reason, prompt: usage.inputTokens, generated: usage.outputTokens });

  const whole = await generateText(chat);
  seen.chat = answer(whole.text, whole.finishReason, whole.usage);
  let raised;
  const read = async (request) => {
    const stream = streamText({ ...request, onError: ({ error }) => { raised = error; } });
    let pieces = 0;
    for await (const part of stream.fullStream) if (part.type === 'text-delta') pieces++;
    if (raised) throw raised;
    return { stream, pieces };
  };
  const { stream, pieces } = await read(chat);
  seen.stream = { ...answer(await stream.text, await stream.finishReason, await stream.usage), pieces };

  // The SDK runs the tool, and sends its result.
  const tools = {
    add: toolOf({
      description: tool.description, inputSchema: jsonSchema(tool.parameters), strict: true,
      execute: ({ a, b }) => String(a + b),
    }),
  };
  const steps = {
    ...unbounded, tools,
    stopWhen: ({ steps: done }) => done.length === 2,
    prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
  };
  const callOf = ([step]) => {
    const [call] = step.toolCalls;
    return { id: call.toolCallId, name: call.toolName, arguments: call.input, reason: step.finishReason };
  };
  const called = await generateText(steps);
  seen.call = callOf(called.steps);
  seen.afterCall = called.steps[1].text;
  seen.callStream = callOf(await (await read(steps)).stream.steps);
  seen.object = (await generateText({ ...unbounded, output: Output.object({ schema: jsonSchema(schema) }) })).output;
  seen.embeddings = (await embedMany({
    model: provider.embeddingModel(settings.embedder), values: texts, maxRetries: 0,
  })).embeddings;
  seen.errors = await errors(
    settings,
    (key, model, topP) => generateText({ ...chat, model: providerFor(key)(model), topP }),
    (e) => ({ status: e.statusCode, message: e.message }));
  if (settings.fails) {
    try {
      await read({ ...chat, prompt: 'FAIL' });
    } catch (e) {
      seen.errors.inStream = e.message ?? String(e);
    }
  }
  return seen;
});
