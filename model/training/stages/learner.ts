import { CheckpointError, type Device, type TensorFile } from "../../../engine/mod.ts";
import type { Part } from "../../checkpoint/check_tensors.ts";
import { openFolder } from "../../checkpoint/folder.ts";
import { type NamedShape, parameterShapes, t5Shapes } from "../../checkpoint/tensor_shapes.ts";
import type { TrainConfig } from "../config/types.ts";
import { initialise } from "../initial/initialise.ts";
import { t5Rules, transformerRules } from "../initial/rules.ts";
import type { Layers } from "../networks/layers.ts";
import { parameterSpecs } from "../networks/parameter_specs.ts";
import { adapterOf, adapterSpecs, initAdapters } from "../session/adapters.ts";
import { Parameters } from "../tape/parameters.ts";
import { FrozenLayers, loadParameters } from "./frozen.ts";

/** What learns of a transformer and its text encoder, and what does not. */
export interface Learner {
  readonly parameters: Parameters;
  /** Where the transformer finds its parameters. */
  readonly layers: Layers;
  /** Where the text encoder does. */
  readonly text: Layers;
  /** Frees everything. */
  dispose(): void;
}

/** Opens a tensor file of the model that training begins with. */
async function withFile<T>(
  config: TrainConfig,
  part: Part,
  use: (file: TensorFile) => Promise<T>,
): Promise<T> {
  if (config.init === null) {
    throw new CheckpointError(
      "no-init",
      `Cannot keep the ${part.replace("_", " ")} as it is: name the model in init that has it`,
    );
  }
  const file = await openFolder(config.init).tensors(config.model.files[part]);
  return await use(file).finally(() => file.close());
}

/** Loads or draws the weights that training begins with. @throws {CheckpointError | FileError} They cannot be loaded. */
export async function openLearner(device: Device, config: TrainConfig): Promise<Learner> {
  const { model, transformer: { lora, text_encoder } } = config;
  const whole = [...parameterShapes(model.transformer)];
  const text = [...t5Shapes(model.text_encoder!)];
  if (lora.rank > 0) return await openAdapters(device, config, whole, text);
  const joint = text_encoder === "joint";
  const parameters = new Parameters(device, parameterSpecs([...whole, ...joint ? text : []]));
  try {
    if (config.init === null) {
      const rules = [...t5Rules(model.text_encoder!), ...transformerRules(model.transformer)];
      initialise(device, parameters, rules, BigInt(config.seed));
    } else {
      const load = (part: Part, shapes: readonly NamedShape[]) =>
        withFile(config, part, (file) => loadParameters(device, parameters, file, shapes));
      await load("transformer", whole);
      if (joint) await load("text_encoder", text);
    }
    const frozen = joint
      ? null
      : await withFile(config, "text_encoder", (file) => FrozenLayers.load(device, file, text));
    return {
      parameters,
      layers: parameters,
      text: frozen ?? parameters,
      dispose() {
        parameters.dispose();
        frozen?.dispose();
      },
    };
  } catch (error) {
    parameters.dispose();
    throw error;
  }
}

/** Adapters of a model that stays as it is. */
async function openAdapters(
  device: Device,
  config: TrainConfig,
  whole: readonly NamedShape[],
  text: readonly NamedShape[],
): Promise<Learner> {
  const { model, seed, transformer: { lora } } = config;
  const parameters = new Parameters(device, adapterSpecs(model.transformer, lora));
  const opened: FrozenLayers[] = [];
  const dispose = () => [parameters, ...opened].forEach((one) => one.dispose());
  const load = async (part: Part, shapes: readonly NamedShape[]) => {
    const adapter = (name: string) => adapterOf(parameters, lora, name);
    const loaded = await withFile(
      config,
      part,
      (file) => FrozenLayers.load(device, file, shapes, adapter),
    );
    opened.push(loaded);
    return loaded;
  };
  try {
    initAdapters(device, parameters, seed);
    const layers = await load("transformer", whole);
    const frozen = await load("text_encoder", text);
    return { parameters, layers, text: frozen, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
