// Prints the files that Transformers.js would load on a device: node files.mjs MODELS NAME DEVICE
import { env, ModelRegistry } from "@huggingface/transformers";
const [models, name, device] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = models;
console.log(JSON.stringify(await ModelRegistry.get_pipeline_files("image-feature-extraction", name, { device })));
