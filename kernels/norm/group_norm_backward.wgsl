// dx = scale · dv − shares[b, 0, c] − (x − mean) · shares[b, 1, c], or dx plus that, where dv = dy · slope of the activation
// and the shares are those of each pixel in the group's mean and deviation: the gradient of group_norm.wgsl by x.
//
// One invocation takes 4 channels of a chunk of pixels, so that what it knows of the channels is read once, and two
// pixels are in flight.
//
// Prelude (group_norm_backward.ts): WG, ADD, X, DY, DX (vec4 types), V (vec4 of f32); fns slope, narrow.

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
@group(0) @binding(5) var<storage, read> shares: array<V>; // [images, 2, columns]
@group(0) @binding(6) var<storage, read_write> dx: array<DX>;

struct Channel {
  mean: V,
  scale: V,
  bias: V,
  share: V, // of the mean
  slope: V, // of the deviation, by x
}

fn store(at: u32, channel: Channel, value: V, dy: V) {
  let d = value - channel.mean;
  let dv = dy * slope(fma(d, channel.scale, channel.bias));
  var v = fma(channel.scale, dv, -fma(d, channel.slope, channel.share));
  if (ADD) { v += V(dx[at]); }
  dx[at] = narrow(v);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let step = params.columns;
  let c = i % step;
  let part = i / step; // image · chunks + chunk
  let image = part / params.chunks;
  let start = part % params.chunks * params.chunk;
  let pixels = min(params.chunk, params.area - start);
  let moment = image * 3 * step + c;
  let share = image * 2 * step + c;
  let channel = Channel(
    moments[moment],
    moments[moment + step],
    bias[c],
    shares[share],
    shares[share + step],
  );
  var at = (image * params.area + start) * step + c;
  var p = 0u;
  for (; p + 2 <= pixels; p += 2) {
    let x0 = V(x[at]);
    let x1 = V(x[at + step]);
    let d0 = V(dy[at]);
    let d1 = V(dy[at + step]);
    store(at, channel, x0, d0);
    store(at + step, channel, x1, d1);
    at += 2 * step;
  }
  if (p < pixels) { store(at, channel, V(x[at]), V(dy[at])); }
}
