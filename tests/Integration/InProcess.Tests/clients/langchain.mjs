// LangChain.
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { errors, maxTokens, question, run, schema, system, texts, tool } from './exercise.mjs';

await run(async (settings) => {
  const modelFor = (fields) => new ChatOpenAI({
    model: settings.model, apiKey: settings.key, temperature: 0, maxRetries: 0,
    configuration: { baseURL: settings.url },
    ...fields,
  });
  const model = modelFor({ maxTokens });
  const unbounded = modelFor({});
  const messages = [new SystemMessage(system), new HumanMessage(question)];
  const seen = {};
  const answer = (message) => ({
    text: message.content, reason: message.response_metadata.finish_reason,
    prompt: message.usage_metadata.input_tokens, generated: message.usage_metadata.output_tokens,
  });
  const read = async (runnable, input) => {
    let [whole, pieces] = [null, 0];
    for await (const chunk of await runnable.stream(input)) {
      if (chunk.content) pieces++;
      whole = whole ? whole.concat(chunk) : chunk;
    }
    return { whole, pieces };
  };

  seen.chat = answer(await model.invoke(messages));
  const { whole, pieces } = await read(model, messages);
  seen.stream = { ...answer(whole), pieces };

  const tools = [{ type: 'function', function: tool }];
  const caller = unbounded.bindTools(tools, { tool_choice: 'required' });
  const callOf = (message) => {
    const [call] = message.tool_calls;
    return { id: call.id, name: call.name, arguments: call.args, reason: message.response_metadata.finish_reason };
  };
  const called = await caller.invoke(messages);
  seen.call = callOf(called);
  seen.callStream = callOf((await read(caller, messages)).whole);
  seen.afterCall = (await model.bindTools(tools, { tool_choice: 'none' }).invoke([
    ...messages, new AIMessage(called), new ToolMessage({ tool_call_id: seen.call.id, content: '5' }),
  ])).content;
  seen.object = await unbounded
    .withStructuredOutput({ title: 'answer', ...schema }, { method: 'jsonSchema', strict: true })
    .invoke(messages);
  seen.embeddings = await new OpenAIEmbeddings({
    model: settings.embedder, apiKey: settings.key, maxRetries: 0, configuration: { baseURL: settings.url },
  }).embedDocuments(texts);
  seen.errors = await errors(
    settings,
    (apiKey, name, topP) => modelFor({ apiKey, model: name, topP, maxTokens }).invoke(messages),
    (e) => ({ status: e.status, message: e.message }));
  if (settings.fails) {
    try {
      await read(model, [new HumanMessage('FAIL')]);
    } catch (e) {
      seen.errors.inStream = e.message;
    }
  }
  return seen;
});
