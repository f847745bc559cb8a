import type { T5Config, TransformerConfig } from "../../config/types.ts";

/** A number, or one for each of so many equal parts of a parameter. */
export type PerPart = number | readonly number[];

/** How the elements of a parameter are drawn. */
export type Rule =
  | { readonly kind: "constant"; readonly value: number }
  /** Between −bound and bound, each as likely. */
  | { readonly kind: "uniform"; readonly bound: number }
  | {
    readonly kind: "normal";
    readonly deviation: PerPart;
    readonly mean?: PerPart;
    /** Numbers further from the mean are drawn again. */
    readonly most?: number;
  };

/** What a rule may depend on. */
export interface Subject {
  /** Shape of the parameter. */
  readonly shape: readonly number[];
  /** Shape of another parameter, by the end of the name that it has in place of this one's: `bias` of `weight`. */
  readonly sibling: (ending: string) => readonly number[];
}

/** Which names a rule is for: the first that matches counts. */
export type Rules = readonly (readonly [RegExp, Rule | ((subject: Subject) => Rule)])[];

const ZEROS: Rule = { kind: "constant", value: 0 };
const ONES: Rule = { kind: "constant", value: 1 };

/** A normal distribution about 0. */
function normal(deviation: PerPart, most?: number): Rule {
  return { kind: "normal", deviation, ...most === undefined ? {} : { most } };
}

/** PyTorch's `trunc_normal_`, whose bound is 2 whatever the deviation, times a factor. */
function truncated(deviation: number, factor: number = 1): Rule {
  return normal(deviation * factor, 2 * factor);
}

/** Columns of a matrix: what a product sums over. */
function columns({ shape }: Subject): number {
  return shape.slice(1).reduce((product, n) => product * n, 1);
}

/** What all rules of transformers agree on. */
function common({ cross_attn_layer_scale: gamma }: TransformerConfig): Rules {
  return [
    [/(^|\.)(q_bias|v_bias|bias)$/, ZEROS],
    [/(^text_norm|ca_norm)\.weight$/, ONES],
    [/\.scale_mul_1H11$/, { kind: "constant", value: Math.log(4) }],
    [/\.ca_gamma$/, { kind: "constant", value: gamma }],
  ];
}

/** Multipliers of the official code, by the names of its arguments (infinity/utils/arg_util.py). */
export interface OfficialFactors {
  /** Of AdaLN's scales and shifts, `aln`; 1e-3 if absent. */
  readonly shift?: number;
  /** Of AdaLN's gates, `alng`; that of scales and shifts if absent. */
  readonly gate?: number;
  /** Of the head, `hd0`; 0.02 if absent. */
  readonly head?: number;
}

/**
 * Values that the official code begins with: the constructors of infinity/models/infinity.py and basic.py, then
 * init_param.py with `tini` = -1, as in scripts/train.sh, then special_init().
 */
export function officialRules(
  config: TransformerConfig,
  { shift = 1e-3, gate = shift, head = 0.02 }: OfficialFactors = {},
): Rules {
  const { embed_dim: C, text_channels: Ct, depth } = config;
  const plain = Math.sqrt(1 / C / 3);
  const residual = truncated(plain, 1 / Math.sqrt(2 * depth));
  const ada = [gate, gate, shift, shift, shift, shift].map((factor) => factor / Math.sqrt(C));
  return [
    ...common(config),
    [/^cfg_uncond$/, truncated(1.2, 1 / Math.sqrt(Ct))],
    [/\.ada_gss$/, normal(ada)],
    [/^head_nm\.ada_lin\.1\.weight$/, truncated(plain, shift)],
    [/^head\.weight$/, truncated(plain, head)],
    [/\.(sa\.proj|ffn\.fc2)\.weight$|^block.*\.ca\.proj\.weight$/, residual],
    [/(^|\.)(mat_q|pos_start|weight)$/, truncated(plain)],
  ];
}

/** Values that the models in the box began with: gates of about 1, and products that keep the size of their input. */
export function transformerRules(config: TransformerConfig): Rules {
  const { embed_dim: C, text_channels: Ct, depth } = config;
  const plain = Math.sqrt(1 / C / 3);
  const residual = (K: number) => normal(0.5 / Math.sqrt(K * 2 * depth));
  return [
    ...common(config),
    [/^cfg_uncond$/, normal(1.2 / Math.sqrt(Ct))],
    [/\.ada_gss$/, { kind: "normal", deviation: 1 / Math.sqrt(C), mean: [1, 1, 0, 0, 0, 0] }],
    [/^(head|head_nm\.ada_lin\.1|shared_ada_lin\.1)\.weight$/, normal(0.02)],
    [/^block.*\.(sa|ca)\.proj\.weight$/, residual(C)],
    [/\.ffn\.fc2\.weight$/, residual(4 * C)],
    [/^lvl_embed\.weight$/, truncated(plain)],
    [/(^|\.)(mat_q|pos_start)$/, normal(plain)],
    [/\.weight$/, (subject) => truncated(Math.sqrt(1 / columns(subject) / 1.5))],
  ];
}

/** What a text encoder begins with. */
export interface TextFactors {
  /** Deviation of relative biases; 2 if absent. */
  readonly bias?: number;
  /** What queries are multiplied by; 1 if absent. */
  readonly query?: number;
}

/**
 * Values of a T5 encoder: those of Hugging Face's, but for smaller outputs of layers and larger relative biases, without
 * which it does not learn the order of words (`deno task study order`). They are for its names alone, so that rules of a
 * transformer may follow.
 */
export function t5Rules(
  { d_kv, d_model }: T5Config,
  { bias = 2, query = 1 }: TextFactors = {},
): Rules {
  return [
    [/^encoder\..*layer_norm\.weight$/, ONES],
    [/^shared\.weight$/, normal(1)],
    [/^encoder\..*relative_attention_bias\.weight$/, normal(bias)],
    [/^encoder\..*SelfAttention\.q\.weight$/, normal(query * (d_model * d_kv) ** -0.5)],
    [/^encoder\..*\.(o|wo)\.weight$/, (subject) => normal(0.5 * columns(subject) ** -0.5)],
    [/^encoder\..*\.weight$/, (subject) => normal(columns(subject) ** -0.5)],
  ];
}

/** Values of a VAE: PyTorch's for convolutions, and norms that scale by 1. */
export function vaeRules(): Rules {
  const bound = (K: number): Rule => ({ kind: "uniform", bound: 1 / Math.sqrt(K) });
  return [
    [/\.norm\.weight$/, ONES],
    [/\.norm\.bias$/, ZEROS],
    [/\.weight$/, (subject) => bound(columns(subject))],
    [/\.bias$/, ({ sibling }) => {
      const shape = sibling("weight");
      return bound(columns({ shape, sibling }));
    }],
  ];
}
