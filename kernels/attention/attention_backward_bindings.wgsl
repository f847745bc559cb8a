// What the kernels that make the sums of attention's backward pass declare, for queries (BY_KEYS false) or for keys (BY_KEYS
// true). A workgroup takes rows of one side, its own, and goes through the rows of the other side. With x = q or k and
// y = dy or v, logits are products of x of both sides, and the gradients of weights, dy · v, those of y of both sides.
// Then it sums x and y of the other side:
// - Queries: one pass with a streaming softmax gives the logarithm of a row's sum of weights, the mean D of its weights'
//   gradients, and dq = scale · (Σ p · (dy · v) · k − D · Σ p · k).
// - Keys: with both from `stats`, dk = scale · Σ p · (dy · v − D) · q, and dv = Σ p · dy.
// Every element has one owner. Not a kernel: attention_backward_launch.ts puts it before a variant's text, which declares
// own_x, own_y, other_x and other_y, bindings 5 to 8.
//
// Prelude (attention_backward_launch.ts): OWN_X, OWN_Y, OTHER_X, OTHER_Y (vec4s as stored, or textures), VECTORS (vec4s
// of a head), BY_KEYS, BIAS.

struct Params {
  own_x_stride: u32, // strides and offsets count vec4s
  own_x_offset: u32,
  own_y_stride: u32,
  own_y_offset: u32,
  other_x_stride: u32,
  other_x_offset: u32,
  other_y_stride: u32,
  other_y_offset: u32,
  heads: u32,
  spans: u32, // their number
  part: u32, // other rows of a part
  rows: u32, // own rows of all spans
  bias_centre: i32,
  bias_last: i32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spans: array<vec4<u32>>;
// with BIAS f32 [distances, heads], for otherwise there is no binding left; else the first query of each key
@group(0) @binding(2) var<storage, read> marks: array<u32>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec2<f32>>; // [queries, heads]: log of the sum, D
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>; // [parts, rows, dq, or dk and dv]

const LOWEST = -3.0e38; // stands for minus infinity, which WGSL cannot write

var<private> head: u32;
var<private> span: vec4<u32>; // first own row, their number, first other row, their number
var<private> first: u32; // the first own row of this tile, counted in the span
var<private> step: u32; // the first other row of this step, counted in the span
var<private> last: u32; // where the other rows of this part end, counted in the span

fn own_row(i: u32) -> u32 { return span.x + min(first + i, span.y - 1); }
fn other_row(j: u32) -> u32 { return span.z + min(step + j, span.w - 1); }

// the first row of the other side that own row i of this tile sees, counted in the span; it sees all after it
fn first_other(i: u32) -> u32 {
  if (!BY_KEYS || BIAS) { return 0; }
  return marks[own_row(i)] - span.z;
}

fn channel(d: u32) -> u32 { return head * VECTORS + min(d, VECTORS - 1); }

fn bias(own: u32, other: u32) -> f32 {
  let distance = select(i32(other) - i32(own), i32(own) - i32(other), BY_KEYS);
  let at = u32(clamp(params.bias_centre + distance, 0, params.bias_last));
  return bitcast<f32>(marks[at * params.heads + head]);
}

// vec4s of a row of `sums`
fn width() -> u32 { return params.heads * VECTORS * select(1u, 2u, BY_KEYS); }
