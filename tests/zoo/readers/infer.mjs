// Runs graphs on tensors by onnxruntime-node or onnxruntime-web: node infer.mjs RUNTIME < jobs.json
// A job is {model, input, dtype, dims, pixels, output, embeddings}; pixels is a file of raw numbers, and so becomes
// embeddings, in float32.
import { readFileSync, writeFileSync } from "node:fs";

const runtime = process.argv[2];
const ort = await import(runtime);
if (runtime === "onnxruntime-web") ort.env.wasm.numThreads = 1;
const arrays = { float32: Float32Array, uint8: Uint8Array };
for (const job of JSON.parse(readFileSync(0, "utf8"))) {
  const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(job.model)));
  const bytes = readFileSync(job.pixels);
  const kind = arrays[job.dtype];
  const numbers = new kind(bytes.buffer, bytes.byteOffset, bytes.byteLength / kind.BYTES_PER_ELEMENT);
  const outputs = await session.run({ [job.input]: new ort.Tensor(job.dtype, numbers, job.dims) });
  const found = outputs[job.output];
  writeFileSync(job.embeddings, new Uint8Array(found.data.buffer, found.data.byteOffset, found.data.byteLength));
  await session.release();
}
