import { CheckpointError, type Device, type TensorFile } from "../../../engine/mod.ts";
import type { Part } from "../../checkpoint/check_tensors.ts";
import type { Folder } from "../../checkpoint/place.ts";
import { type NamedShape, parameterShapes, t5Shapes } from "../../checkpoint/tensor_shapes.ts";
import { FolderSource } from "../../parts/parts.ts";
import type { TrainConfig } from "../config/types.ts";
import { initialise } from "../initial/initialise.ts";
import { t5Rules, transformerRules } from "../initial/rules.ts";
import type { Layers } from "../networks/layers.ts";
import { parameterSpecs } from "../networks/parameter_specs.ts";
import { T5Network, type TextFeatures } from "../networks/t5.ts";
import { adapterOf, adapterSpecs, initAdapters } from "../session/adapters.ts";
import { Parameters } from "../tape/parameters.ts";
import { FrozenLayers, loadParameters } from "./frozen.ts";
import { type KnownPrompts, openFrozenText } from "./frozen_text.ts";

/** What learns of a transformer and its text encoder, and what does not. */
export interface Learner {
  readonly parameters: Parameters;
  /** Where the transformer finds its parameters. */
  readonly layers: Layers;
  readonly text: TextFeatures;
  /** Frees everything. */
  dispose(): void;
}

/**
 * Loads or draws the weights that training begins with.
 *
 * @param init The folder of `config.init`.
 * @param known All prompts, where they are known.
 * @throws {CheckpointError | FileError} They cannot be loaded.
 * @throws The reason of the signal.
 */
export async function openLearner(
  device: Device,
  config: TrainConfig,
  init: Folder | null,
  known: KnownPrompts | null,
): Promise<Learner> {
  const { lora, text_encoder } = config.transformer;
  if (init === null) {
    if (lora.rank === 0 && text_encoder === "joint") {
      return await openWhole(device, config, null, known);
    }
    throw new CheckpointError(
      "no-init",
      "Cannot keep the text encoder as it is: name the model in init that has it",
    );
  }
  return await (lora.rank > 0 ? openAdapters : openWhole)(device, config, init, known);
}

/** All weights of the transformer, and those of the text encoder if it learns, too. */
async function openWhole(
  device: Device,
  { model, seed, transformer: { text_encoder } }: TrainConfig,
  init: Folder | null,
  known: KnownPrompts | null,
): Promise<Learner> {
  const whole = [...parameterShapes(model.transformer)];
  const words = [...t5Shapes(model.text_encoder!)];
  const joint = text_encoder === "joint";
  const parameters = new Parameters(device, parameterSpecs([...whole, ...joint ? words : []]));
  try {
    if (init === null) {
      const rules = [...t5Rules(model.text_encoder!), ...transformerRules(model.transformer)];
      initialise(device, parameters, rules, BigInt(seed));
    } else {
      const load = async (part: Part, shapes: readonly NamedShape[]) => {
        const file: TensorFile = await init.tensors(model.files[part]);
        await loadParameters(device, parameters, file, shapes).finally(() => file.close());
      };
      await load("transformer", whole);
      if (joint) await load("text_encoder", words);
    }
    const text = joint
      ? new T5Network(device, model.text_encoder!, parameters)
      : await openFrozenText(device, model, init!, known);
    const dispose = () => [parameters, text].forEach((one) => one.dispose());
    return { parameters, layers: parameters, text, dispose };
  } catch (error) {
    parameters.dispose();
    throw error;
  }
}

/** Adapters of a model that stays as it is. */
async function openAdapters(
  device: Device,
  { model, seed, transformer: { lora } }: TrainConfig,
  init: Folder,
  known: KnownPrompts | null,
): Promise<Learner> {
  const opened: { dispose(): void }[] = [];
  const dispose = () => opened.forEach((one) => one.dispose());
  try {
    // first, for it may leave before the transformer comes
    const text = await openFrozenText(device, model, init, known);
    opened.push(text);
    const parameters = new Parameters(device, adapterSpecs(model.transformer, lora));
    opened.push(parameters);
    initAdapters(device, parameters, seed);
    const adapter = (name: string) => adapterOf(parameters, lora, name);
    const layers = await new FolderSource(init, model, device).open(
      "transformer",
      (weights) => FrozenLayers.load(weights, parameterShapes(model.transformer), adapter),
    );
    opened.push(layers);
    return { parameters, layers, text, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
