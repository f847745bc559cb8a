/**
 * Training of bitwise autoregressive models on the GPU: reverse-mode differentiation over the engine's own kernels,
 * the losses of Infinity (arXiv 2412.04431), an optimiser, data, and the loop around them.
 *
 * @module
 */

export { Parameters, type ParameterSpec } from "./tape/parameters.ts";
export { Tape, type TapeOptions } from "./tape/tape.ts";
export { Variable } from "./tape/variable.ts";
export { add } from "./ops/add.ts";
export {
  bitCrossEntropy,
  type BitCrossEntropyOptions,
  tokenWeights,
} from "./ops/bit_cross_entropy.ts";
export { headDifference } from "./ops/head_difference.ts";
export { hingeLoss, type HingeLossOptions } from "./ops/hinge_loss.ts";
export { quantise, type QuantiseOptions } from "./ops/quantise.ts";
export {
  psnr,
  reconstructionLoss,
  type ReconstructionLossOptions,
} from "./ops/reconstruction_loss.ts";
export {
  selfCorrection,
  type SelfCorrectionOptions,
  type TeacherForcing,
} from "./ops/self_correction.ts";
export { resample } from "./ops/resample.ts";
export {
  adversarialLosses,
  type AdversarialOptions,
  discriminate,
  discriminatorShapes,
} from "./networks/discriminator.ts";
export { parameterSpecs } from "./networks/parameter_specs.ts";
export { activation } from "./ops/activation.ts";
export { gatedGelu } from "./ops/gated_gelu.ts";
export { parseTrainFile, readTrainConfig, resolveTrainConfig } from "./config/train_config.ts";
export type { DataConfig, Stage, TrainConfig } from "./config/types.ts";
export { Reporter } from "./report/reporter.ts";
export { readLog } from "./report/log.ts";
export type { Report, TrainingOptions, TrainingProgress, TrainingResult } from "./report/types.ts";
export { LossScale } from "./optimiser/loss_scale.ts";
export {
  type Moments,
  Optimiser,
  type OptimiserOptions,
  type OptimiserStep,
} from "./optimiser/optimiser.ts";
export { learningRate, type Schedule } from "./optimiser/schedule.ts";
export type { Batch, DataSource, Size, Which } from "./data/base/source.ts";
export { type ImageOptions, openImages } from "./data/files/open_images.ts";
export { type SheetOptions, SheetSource } from "./data/files/sheet.ts";
export { type DataOptions, openData } from "./data/open_data.ts";
export { type SceneOptions, SceneSource } from "./data/scenes/scene_source.ts";
export {
  type ColourAccuracy,
  colourAccuracy,
  type Composition,
  countAccuracy,
  type PairAccuracy,
  pairAccuracy,
} from "./data/scenes/composition.ts";
export { type Measured, scenesToMeasure } from "./data/scenes/held_out_scenes.ts";
export {
  type Images,
  type Likeness,
  likeness,
  pairwisePsnr,
  psnrOf,
} from "./data/base/measures.ts";
export { attention, type AttentionOptions } from "./ops/attention.ts";
export { crossLayout, scalesLayout, textLayout } from "./ops/attention_layouts.ts";
export type { SpanLayout } from "../../kernels/attention/attention_spans.ts";
export { type Bias, linear, type LinearOptions, type Weight } from "./ops/linear.ts";
export { type Adapter, lora } from "./ops/lora.ts";
export { adaVectors } from "./ops/ada_vectors.ts";
export { addGated, type Gates } from "./ops/add_gated.ts";
export { layerNorm, type LayerNormOptions, type ScaleShift } from "./ops/layer_norm.ts";
export { selfAttention, type SelfAttentionOptions } from "./ops/self_attention.ts";
export type { LoadOptions } from "./run/checkpoint.ts";
export type { StepReport } from "./run/report.ts";
export type { Pass, PassResult, Task } from "./run/task.ts";
export { Trainer, type TrainerOptions, type TrainerResult } from "./run/trainer.ts";
export { TrainingError } from "./run/training_error.ts";
export { conditionDropout, droppedRows } from "./ops/condition_dropout.ts";
export { embedding } from "./ops/embedding.ts";
export { addLevel, tokenInput, type TokenInputs } from "./ops/token_input.ts";
export { Lookups } from "../../kernels/tokens/lookups.ts";
export { initialise } from "./initial/initialise.ts";
export {
  officialRules,
  type Rule,
  type Rules,
  t5Rules,
  transformerRules,
  vaeRules,
} from "./initial/rules.ts";
export { fitStep, planStep, type StepSize, stepTooLarge } from "./run/plan.ts";
export { type Attended, block, type Condition } from "./networks/block.ts";
export { layer, type Layers } from "./networks/layers.ts";
export { T5Network } from "./networks/t5.ts";
export { type SequenceOptions, TransformerNetwork } from "./networks/transformer.ts";
export { groupNorm, type GroupNormOptions } from "./ops/group_norm.ts";
export { checkpointPath, runStage, type StageWork, trainerOptions } from "./session/run_stage.ts";
export { saveLora, saveWeights } from "./session/weights.ts";
export { loraPath, prepareFolder, sampleFolder } from "./session/folder.ts";
export { adapterOf, adapterSpecs, initAdapters } from "./session/adapters.ts";
export { VaeNetwork, type VaeNetworkOptions } from "./networks/vae.ts";
export { train } from "./stages/train.ts";
