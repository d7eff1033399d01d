// llama.cpp with continuous batching behind the part of OpenAI's completions API that the benchmark uses: prompts as
// lists of tokens, greedy decoding, a stream with one event per token.
// node server.mjs PORT MODEL.gguf SEQUENCES CONTEXT_PER_SEQUENCE THREADS
import { createServer } from 'node:http';
import { getLlama } from 'node-llama-cpp';

const [port, modelPath, sequences, context, threads] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: +threads, logLevel: 'error' });
const model = await llama.loadModel({ modelPath });
// The size is that of all sequences together. The cache has 32 bits, as that of the other servers.
const shared = await model.createContext({
  sequences: +sequences, contextSize: +context, threads: { ideal: +threads, min: +threads },
  batchSize: 512, experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32', flashAttention: false,
});
const free = Array.from({ length: +sequences }, () => shared.getSequence());
const waiting = [];
const take = () => free.length > 0 ? Promise.resolve(free.pop()) : new Promise(resolve => waiting.push(resolve));
const give = sequence => waiting.length > 0 ? waiting.shift()(sequence) : free.push(sequence);

createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { prompt, max_tokens: most } = JSON.parse(body);
  const sequence = await take();
  try {
    await sequence.clearHistory();
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    let count = 0;
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      const choices = [{ index: 0, text: model.detokenize([token], true), token }];
      response.write(`data: ${JSON.stringify({ object: 'text_completion', choices })}\n\n`);
      if (++count === most) break;
    }
    response.end('data: [DONE]\n\n');
  } finally {
    give(sequence);
  }
}).listen(+port, '127.0.0.1', () => console.log('ready'));
