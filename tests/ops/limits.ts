/**
 * How an output may differ from the reference. `exact`: not at all, on no adapter. `f32`: sums and functions of f32
 * round. `f16`: what is stored, or what tensor cores multiply, is rounded to f16 besides. `far`: the mean of a norm's
 * input is about 1,000 deviations, of which f32 keeps 14 bits. `sines`: WGSL promises 2⁻¹¹ of sin and cos.
 */
export type Rounding = "exact" | "f32" | "f16" | "far" | "sines";

const EXACT = { exact: 0 };
const F32 = { f32: 1e-10 };
const FLOATS = { ...F32, f16: 5e-6 };

/**
 * The largest NMSE (sum of squared errors over that of squared references) of each kernel. Weights and operands count
 * as they are stored: q8_0 and q4_0 lose nothing where they are multiplied as f32.
 */
export const LIMITS: Readonly<Record<string, Partial<Record<Rounding, number>>>> = {
  // elementwise
  accumulate: FLOATS,
  activate: FLOATS,
  activate_backward: FLOATS,
  check_finite: EXACT,
  fill: EXACT,
  gated_gelu: FLOATS,
  gated_gelu_backward: FLOATS,
  guide: F32,
  pad_rows: EXACT,
  random_normal: { sines: 1e-6 },
  rgba8: EXACT,
  widen: EXACT,
  // images
  compose_scenes: F32,
  // linear
  column_sums: F32,
  dequantise: EXACT,
  linear: EXACT,
  matmul: FLOATS,
  matmul_backward: FLOATS,
  sum_parts: FLOATS,
  transpose: EXACT,
  // conv
  conv2d: FLOATS,
  conv2d_backward: FLOATS,
  // norm
  ada_vectors: F32,
  add_gated: FLOATS,
  add_gated_backward: FLOATS,
  group_norm_backward: FLOATS,
  group_norm: { ...FLOATS, far: 1e-8 },
  layer_norm_backward: FLOATS,
  layer_norm: { ...FLOATS, far: 1e-7 },
  // attention
  attention: FLOATS,
  attention_backward: FLOATS,
  qkv_rope: FLOATS,
  qkv_rope_backward: FLOATS,
  // bits
  accumulate_codes: F32,
  draw_strengths: F32,
  flip_bits: EXACT,
  force_bits: EXACT,
  next_input: FLOATS,
  quantise_bits: EXACT,
  resample: FLOATS,
  resample_backward: FLOATS,
  sample_bits: { ...EXACT, ...F32 },
  unit_vectors: F32,
  unit_vectors_backward: F32,
  // losses
  bit_cross_entropy: FLOATS,
  code_losses: F32,
  edge_weights: F32,
  hinge_loss: FLOATS,
  pair_difference: F32,
  pair_difference_backward: F32,
  reconstruction_loss: FLOATS,
  // tokens
  add_level: F32,
  choose_rows: FLOATS,
  copy_rows: { ...EXACT, f16: 5e-6 },
  embedding: { ...EXACT, f16: 5e-6 },
  embedding_backward: FLOATS,
  token_input: F32,
  token_input_backward: FLOATS,
  // optimiser
  adamw: F32,
  global_norm: F32,
};
