// What people write by hand: Fastify and onnxruntime-node, a run a request. Serves every model of a repository under the same paths and in
// the same JSON and binary form as the worker, as far as the benchmark asks for it.
// node server.mjs PORT REPOSITORY
import { readdirSync } from 'node:fs';
import Fastify from 'fastify';
import ort from 'onnxruntime-node';

const [port, repository] = process.argv.slice(2);
const sessions = {};
for (const name of readdirSync(repository))
  sessions[name] = await ort.InferenceSession.create(`${repository}/${name}/1/model.onnx`, { intraOpNumThreads: 1 });

const app = Fastify({ bodyLimit: 64 << 20 });
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => done(null, body));

app.post('/v2/models/:model/infer', async (request, reply) => {
  const session = sessions[request.params.model];
  const headerLength = request.headers['inference-header-content-length'];
  const head = headerLength === undefined ? request.body : JSON.parse(request.body.subarray(0, +headerLength).toString());
  const feeds = {};
  let at = +headerLength;
  for (const input of head.inputs) {
    let data;
    if (headerLength === undefined) data = Float32Array.from(input.data.flat(Infinity));
    else {
      const size = input.parameters.binary_data_size;
      data = new Float32Array(request.body.buffer.slice(request.body.byteOffset + at, request.body.byteOffset + at + size));
      at += size;
    }
    feeds[input.name] = new ort.Tensor('float32', data, input.shape);
  }
  const results = await session.run(feeds);
  const outputs = [], parts = [];
  for (const [name, tensor] of Object.entries(results)) {
    if (headerLength === undefined) outputs.push({ name, datatype: 'FP32', shape: tensor.dims, data: Array.from(tensor.data) });
    else {
      const bytes = Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
      outputs.push({ name, datatype: 'FP32', shape: tensor.dims, parameters: { binary_data_size: bytes.length } });
      parts.push(bytes);
    }
  }
  const answer = { model_name: request.params.model, model_version: '1', outputs };
  if (headerLength === undefined) return answer;
  const json = Buffer.from(JSON.stringify(answer));
  reply.header('Inference-Header-Content-Length', json.length).type('application/octet-stream');
  return Buffer.concat([json, ...parts]);
});

await app.listen({ port: +port, host: '127.0.0.1' });
console.log('ready');
