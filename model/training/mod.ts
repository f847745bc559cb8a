/**
 * Training of bitwise autoregressive models on the GPU: reverse-mode differentiation over the engine's own kernels,
 * the losses of Infinity (arXiv 2412.04431), an optimiser, data, and the loop around them.
 *
 * @module
 */

// whole stages, as the command line runs them
export { checkStages } from "./stages/check_stages.ts";
export { train } from "./stages/train.ts";
export {
  parseTrainFile,
  readTrainConfig,
  resolveTrainConfig,
  type TrainFile,
} from "./config/train_config.ts";
export { finetuneConfig, type FinetuneOptions } from "./config/finetune_config.ts";
export type { Links } from "./config/tables.ts";
export type {
  CodeLosses,
  DataConfig,
  DecoderTraining,
  LoraConfig,
  LossWeights,
  OptimiserConfig,
  Stage,
  TokenizerTraining,
  TrainConfig,
  TransformerTraining,
} from "./config/types.ts";
export { readLog } from "./report/log.ts";
export { Reporter, type ReporterPlace } from "./report/reporter.ts";
export type { Report, TrainingOptions, TrainingProgress, TrainingResult } from "./report/types.ts";

// what a stage of one's own is made of
export { checkPlace, checkpointPath } from "./session/place.ts";
export { type Facts, runStage, type StageWork, trainerOptions } from "./session/run_stage.ts";
export { adapterOf, adapterSpecs, initAdapters } from "./session/adapters.ts";
export { type SavedLora, type SavedWeights, saveLora, saveWeights } from "./session/weights.ts";

// images, captions and scenes
export type { Pixels } from "../image/enlarge.ts";
export { type DataOptions, openData } from "./data/open_data.ts";
export type { Batch, DataSource, Size, Which } from "./data/base/source.ts";
export {
  type Images,
  type Likeness,
  likeness,
  pairwisePsnr,
  psnrOf,
} from "./data/base/measures.ts";
export { type ImageOptions, openImages } from "./data/files/open_images.ts";
export { type SheetOptions, SheetSource } from "./data/files/sheet.ts";
export {
  type ColourAccuracy,
  colourAccuracy,
  countAccuracy,
  type PairAccuracy,
  pairAccuracy,
  type RelationAccuracy,
  relationAccuracy,
} from "./data/scenes/composition.ts";
export type { Composition } from "./data/scenes/look_up.ts";
export { type Measured, scenesToMeasure } from "./data/scenes/held_out_scenes.ts";
export { type SceneOptions, SceneSource } from "./data/scenes/scene_source.ts";
export { SceneComposer } from "./data/scenes/composer.ts";
export type { SceneRules } from "./data/scenes/rules.ts";
export type { Background, Scene, SceneObject } from "./data/scenes/scene.ts";
export type { HeldOut } from "./data/scenes/held_out.ts";
export type { Sprite } from "./data/scenes/sprite.ts";
export type { SpriteSet } from "./data/scenes/sprites.ts";
export type { DominantColour } from "./data/scenes/dominant_colour.ts";
export type { Noun, SpriteItem } from "./data/scenes/items.ts";
export { Draws, Lottery } from "./data/base/draws.ts";

// the loop
export type { LoadOptions } from "./run/checkpoint.ts";
export { fitStep, type PlanSize, planStep, type StepSize } from "./run/plan.ts";
export { type AdapterPlanOptions, planAdapters, planTraining } from "./stages/plan_training.ts";
export type { StepReport } from "./run/report.ts";
export type { Pass, PassResult, Task } from "./run/task.ts";
export { Trainer } from "./run/trainer.ts";
export type { TrainerOptions, TrainerResult } from "./run/trainer_options.ts";
export { TrainingError, type TrainingPlace } from "./run/training_error.ts";

// the optimiser
export { LossScale } from "./optimiser/loss_scale.ts";
export {
  type Moments,
  Optimiser,
  type OptimiserOptions,
  type OptimiserStep,
} from "./optimiser/optimiser.ts";
export { learningRate, type Schedule } from "./optimiser/schedule.ts";

// networks, and values that their parameters begin with
export {
  adversarialLosses,
  type AdversarialOptions,
  discriminate,
  discriminatorShapes,
} from "./networks/discriminator.ts";
export { type Attended, block, type Condition } from "./networks/block.ts";
export { layer, type Layers } from "./networks/layers.ts";
export type { NamedShape } from "../checkpoint/tensor_shapes.ts";
export { parameterSpecs } from "./networks/parameter_specs.ts";
export { T5Network, type TextFeatures } from "./networks/t5.ts";
export { type SequenceOptions, TransformerNetwork } from "./networks/transformer.ts";
export { VaeNetwork, type VaeNetworkOptions } from "./networks/vae.ts";
export { initialise } from "./initial/initialise.ts";
export {
  type OfficialFactors,
  officialRules,
  type PerPart,
  type Rule,
  type Rules,
  type Subject,
  t5Rules,
  type TextFactors,
  transformerRules,
  vaeRules,
} from "./initial/rules.ts";

// differentiation
export { type Page, Parameters, type ParameterSpec, type Place } from "./tape/parameters.ts";
export { type Observer, Tape, type TapeOptions } from "./tape/tape.ts";
export { Variable } from "./tape/variable.ts";

// operations with gradients
export { activation } from "./ops/activation.ts";
export { add } from "./ops/add.ts";
export { type Bias, type Factor, linear, type LinearOptions, type Weight } from "./ops/linear.ts";
export { StoredMatrix } from "../checkpoint/stored_matrix.ts";
export { type Adapter, lora } from "./ops/lora.ts";

// those of transformers
export { attention, type AttentionOptions } from "./ops/attention/attention.ts";
export { crossLayout, scalesLayout, textLayout } from "./ops/attention/attention_layouts.ts";
export { selfAttention, type SelfAttentionOptions } from "./ops/attention/self_attention.ts";
export { adaVectors } from "./ops/transformer/ada_vectors.ts";
export { addGated, type Gates } from "./ops/transformer/add_gated.ts";
export { conditionDropout, droppedRows } from "./ops/transformer/condition_dropout.ts";
export { embedding } from "./ops/transformer/embedding.ts";
export { gatedGelu } from "./ops/transformer/gated_gelu.ts";
export { headDifference } from "./ops/transformer/head_difference.ts";
export { layerNorm, type LayerNormOptions, type ScaleShift } from "./ops/transformer/layer_norm.ts";
export {
  selfCorrection,
  type SelfCorrectionOptions,
  type TeacherForcing,
} from "./ops/transformer/self_correction.ts";
export { addLevel, tokenInput, type TokenInputs } from "./ops/transformer/token_input.ts";

// those of the tokenizer
export { conv2d, type Conv2dOptions } from "./ops/tokenizer/conv2d.ts";
export { groupNorm, type GroupNormOptions } from "./ops/tokenizer/group_norm.ts";
export { quantise, type QuantiseOptions } from "./ops/tokenizer/quantise.ts";
export { resample } from "./ops/tokenizer/resample.ts";

// losses
export {
  bitCrossEntropy,
  type BitCrossEntropyOptions,
  tokenWeights,
} from "./ops/losses/bit_cross_entropy.ts";
export { hingeLoss, type HingeLossOptions } from "./ops/losses/hinge_loss.ts";
export {
  psnr,
  reconstructionLoss,
  type ReconstructionLossOptions,
} from "./ops/losses/reconstruction_loss.ts";

// what kernels take besides tensors
export type { SpanLayout, SpanSide } from "../../kernels/attention/attention_spans.ts";
export type { Rgb, SceneDot } from "../../kernels/images/scene_layout.ts";
export type { RandomSource } from "../../kernels/bits/draw_strengths.ts";
export type { ResampleArgs, ResamplePlace } from "../../kernels/bits/resample.ts";
export type { ConvGeometry } from "../../kernels/conv/conv_dispatch.ts";
export type { FloatType } from "../../kernels/linear/weight_types.ts";
export type { BitStats } from "../../kernels/losses/bit_cross_entropy.ts";
export type { CodeLossWeights } from "../../kernels/losses/code_losses.ts";
export type { HingeRole } from "../../kernels/losses/hinge_loss.ts";
export type { ReconstructionTerms } from "../../kernels/losses/reconstruction_loss.ts";
export type { NormActivation } from "../../kernels/norm/group_norm.ts";
export type { Activation } from "../../kernels/shared/activations.ts";
export type { Gradient } from "../../kernels/shared/gradient.ts";
export { Lookups, type RowSums } from "../../kernels/tokens/lookups.ts";
