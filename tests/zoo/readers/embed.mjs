// Embeds image files by the pipeline of Transformers.js, one at a time: node embed.mjs MODELS NAME DTYPE IMAGE...
import { env, pipeline } from "@huggingface/transformers";

const [models, name, dtype, ...images] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = models;
const extract = await pipeline("image-feature-extraction", name, dtype === "auto" ? {} : { dtype });
const rows = [];
for (const image of images) rows.push(...(await extract(image)).tolist());
console.log(JSON.stringify(rows));
