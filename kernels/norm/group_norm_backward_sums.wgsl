// sums[b, k, c] = Σ dv and products[b, k, c] = Σ dv · z over the k-th chunk of image b's pixels, where z is normalised and
// dv = dy · slope of the activation: the gradients of bias and weight, once images and chunks are added up.
//
// One invocation takes 4 channels of a chunk, in the order of pixels, four of them in flight.
//
// Prelude (group_norm_backward.ts): WG, X, DY (vec4 types), V (vec4 of f32); fn slope.

struct Params {
  area: u32, // pixels of an image
  columns: u32, // vec4s of channels
  chunk: u32, // pixels of a chunk; the last may be shorter
  chunks: u32, // of an image
  count: u32, // invocations: images · chunks · columns
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read> moments: array<V>; // [images, 3, columns]
@group(0) @binding(4) var<storage, read> bias: array<V>;
@group(0) @binding(5) var<storage, read_write> sums: array<V>; // [images, chunks, columns]
@group(0) @binding(6) var<storage, read_write> products: array<V>; // likewise

struct Sums {
  sum: V,
  product: V, // with differences to the mean, which are not yet divided
}

struct Channel {
  mean: V,
  scale: V,
  bias: V,
}

fn add(s: Sums, channel: Channel, value: V, dy: V) -> Sums {
  let d = value - channel.mean;
  let dv = dy * slope(fma(d, channel.scale, channel.bias));
  return Sums(s.sum + dv, fma(d, dv, s.product));
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let c = i % params.columns;
  let part = i / params.columns; // image · chunks + chunk
  let image = part / params.chunks;
  let start = part % params.chunks * params.chunk;
  let pixels = min(params.chunk, params.area - start);
  let moment = image * 3 * params.columns + c;
  let channel = Channel(moments[moment], moments[moment + params.columns], bias[c]);
  let step = params.columns;
  var at = (image * params.area + start) * step + c;
  var s = Sums();
  var p = 0u;
  for (; p + 4 <= pixels; p += 4) {
    let x0 = V(x[at]);
    let x1 = V(x[at + step]);
    let x2 = V(x[at + 2 * step]);
    let x3 = V(x[at + 3 * step]);
    let d0 = V(dy[at]);
    let d1 = V(dy[at + step]);
    let d2 = V(dy[at + 2 * step]);
    let d3 = V(dy[at + 3 * step]);
    s = add(add(add(add(s, channel, x0, d0), channel, x1, d1), channel, x2, d2), channel, x3, d3);
    at += 4 * step;
  }
  for (; p < pixels; p++) {
    s = add(s, channel, V(x[at]), V(dy[at]));
    at += step;
  }
  sums[i] = s.sum;
  products[i] = s.product * moments[moment + 2 * params.columns];
}
