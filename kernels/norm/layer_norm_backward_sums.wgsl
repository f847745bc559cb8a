// sums[p, c] = Σ dy[m, c] and products[p, c] = Σ dy[m, c] · z[m, c] over the rows m of chunk p of an image, where z is
// normalised by the moments from layer_norm_backward.wgsl: the gradients of what LayerNorm adds and multiplies, once the
// chunks are added up. Where it is applied twice, each pair has its factors: AFFINE sums are of dy · (1 + scale), the
// others' products of dy · (z · weight + bias).
//
// An invocation adds up one V of columns, in the order of rows, four rows in flight.
//
// Prelude (layer_norm_backward_sums.ts): WG, X, DY (elements as stored), V (the same in f32: scalar or vec4), AFFINE,
// SCALE, WEIGHT, BIAS (what there is), SUMS, PRODUCTS (what is wanted).

struct Params {
  count: u32, // Vs of all chunks
  columns: u32, // Vs of a row
  M: u32,
  rows: u32, // rows of an image
  chunk: u32, // rows of a chunk; the last of an image may have fewer
  chunks: u32, // chunks of an image
  stride: u32, // Vs between rows of the modulation
  scale_offset: u32, // Vs before the first scale
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read> moments: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<V>;
@group(0) @binding(5) var<storage, read> bias: array<V>;
@group(0) @binding(6) var<storage, read> modulation: array<V>;
@group(0) @binding(7) var<storage, read_write> sums: array<V>;
@group(0) @binding(8) var<storage, read_write> products: array<V>;

struct Sums {
  sum: V,
  product: V,
}

fn add(s: Sums, x: V, dy: V, moments: vec2<f32>) -> Sums {
  return Sums(s.sum + dy, fma((x - moments.x) * moments.y, dy, s.product));
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let part = i / params.columns;
  let c = i % params.columns;
  let image = part / params.chunks;
  let start = image * params.rows + part % params.chunks * params.chunk;
  let end = min(min(start + params.chunk, (image + 1) * params.rows), params.M);
  var s = Sums();
  var m = start;
  var at = start * params.columns + c;
  for (; m + 4 <= end; m += 4) {
    let step = params.columns;
    let x0 = V(x[at]);
    let x1 = V(x[at + step]);
    let x2 = V(x[at + 2 * step]);
    let x3 = V(x[at + 3 * step]);
    let d0 = V(dy[at]);
    let d1 = V(dy[at + step]);
    let d2 = V(dy[at + 2 * step]);
    let d3 = V(dy[at + 3 * step]);
    s = add(add(s, x0, d0, moments[m]), x1, d1, moments[m + 1]);
    s = add(add(s, x2, d2, moments[m + 2]), x3, d3, moments[m + 3]);
    at += 4 * step;
  }
  for (; m < end; m++) {
    s = add(s, V(x[at]), V(dy[at]), moments[m]);
    at += params.columns;
  }
  if (AFFINE) {
    if (SCALE) {
      let factor = 1 + modulation[image * params.stride + params.scale_offset + c];
      s = Sums(s.sum * factor, s.product * factor);
    }
  } else {
    if (WEIGHT) { s.product *= weight[c]; }
    if (BIAS) { s.product = fma(bias[c], s.sum, s.product); }
  }
  if (SUMS) { sums[i] = s.sum; }
  if (PRODUCTS) { products[i] = s.product; }
}
