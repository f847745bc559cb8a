import { type Device, InputError } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { ImageBits } from "../bits/image_bits.ts";
import type { Lora } from "../checkpoint/lora.ts";
import type { ModelConfig } from "../config/types.ts";
import type { Lease, Parts } from "../parts/parts.ts";
import type { VaeDecoder } from "../vae/vae.ts";
import { DecodedImage } from "./images/decoded_image.ts";
import { type Encode, forceInit } from "./editing.ts";
import { generate, type SampledScale, type Steps } from "./generate.ts";
import { imageBitsOf, imagesOf, Result } from "./images.ts";
import type { GenerateOptions, Step } from "./options.ts";
import type { Plan } from "./plan/plan.ts";
import { planGeneration } from "./plan_generation.ts";
import type { TextSide } from "./text/text_side.ts";

/** The parts of a loaded model that a generation uses. */
export interface GenerationContext {
  /** The GPU of the model. */
  readonly device: Device;
  /** Hyper-parameters and defaults. */
  readonly config: ModelConfig;
  /** Storage of the weights. */
  readonly type: WeightType;
  /** Text encoder, transformer and VAE. */
  readonly parts: Parts;
  /** Turns prompts into text features. */
  readonly text: TextSide;
  /** What a user should know about how the model was loaded; the first result has it. */
  readonly warnings: string[];
  /** Adapters that were added to the weights. */
  readonly loras: readonly Lora[];
  /** Encodes the image to edit. */
  readonly encode: Encode;
  /** Decodes the bits of one image. */
  decode(bits: ImageBits): Promise<DecodedImage>;
}

/**
 * Runs one generation from its options to its result, and yields its scales if `steps` asks for them. Frees all that it
 * allocated however it ends: by return, error, abort, or a caller who leaves the loop.
 *
 * @throws {InputError} An option is wrong, or the model computed NaN or infinity.
 * @throws What `signal` was aborted with.
 */
export async function* runGeneration(
  context: GenerationContext,
  options: GenerateOptions,
  steps: Steps,
): AsyncGenerator<Step, Result, void> {
  const { signal, onStage, batchCount = 1 } = options;
  const { config, device, parts } = context;
  const began = performance.now();
  const planned = await planGeneration(config, options);
  signal?.throwIfAborted();
  onStage?.("text");
  const plan = await forceInit(config, planned, context.encode, signal);
  const warnings = [...context.warnings.splice(0), ...plan.warnings];
  const guided = plan.guidedScales > 0;
  const warn = (line: string) => warnings.push(line);
  const batch = { batchCount, guided, warn, onStage };
  const { text, prompts, transformer } = await context.text.texts(options, batch);
  const textDone = performance.now();
  let vae: Lease<VaeDecoder> | undefined;
  try {
    const preview = async () => (vae ??= await parts.lease("vae")).part;
    const final = () => {
      transformer.end();
      onStage?.("vae");
      return preview();
    };
    const decoder = { preview, final };
    const run = generate(device, transformer.part, decoder, text, plan, options, steps);
    let next = await run.next();
    try {
      for (; !next.done; next = await run.next()) yield makeStep(context, plan, next.value);
    } finally {
      // frees its tensors if the caller left the loop
      if (!next.done) await run.return(undefined as never);
    }
    const images = imagesOf(next.value, plan, {
      config,
      type: context.type,
      loras: context.loras,
      prompts,
      negativePrompt: options.negativePrompt,
      cfgInsertionLayer: options.cfgInsertionLayer,
      keepScales: planned.edit?.keepScales,
      masked: planned.edit?.free !== undefined,
    });
    const ended = performance.now();
    const seconds = {
      text: (textDone - began) / 1000,
      images: (ended - textDone) / 1000,
      total: (ended - began) / 1000,
    };
    return new Result(images, next.value.trace.entries, seconds, warnings);
  } finally {
    text.features.dispose();
    transformer.end();
    vae?.end();
  }
}

/** Makes the step of a sampled scale; its image is decoded when it is asked for. */
function makeStep(
  { config, decode }: GenerationContext,
  { schedule, images }: Plan,
  { scale, bits: tokens, pixels }: SampledScale,
): Step {
  const bits = imageBitsOf(config, schedule, tokens, images);
  const image = async (index: number = 0): Promise<DecodedImage> => {
    const of = bits[index];
    if (of && pixels) return new DecodedImage(pixels[index]!, of.width, of.height);
    if (of) return await decode(of);
    throw new InputError(
      "bad-value",
      `Cannot decode image ${index}: there are ${images}, counted from 0`,
    );
  };
  const scales = schedule.length;
  return { scale, scales, bits, image, toJSON: () => ({ scale, scales, images }) };
}
