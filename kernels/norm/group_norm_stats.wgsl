// partial[b, k, c] = (mean, sum of squared deviations) of channel c over the k-th chunk of image b's pixels: the first
// step of GroupNorm (then group_norm_combine.wgsl and group_norm.wgsl).
//
// One invocation takes 4 channels of a chunk; neighbouring invocations read neighbouring channels, so reads are
// contiguous. Sums are of differences to the chunk's first pixel, so a large mean costs no digits. There is no
// workgroup memory, because barriers are slow on software adapters; GPUs have group_norm_stats_workgroup.wgsl. Chunks
// depend on the size of the image alone.
//
// Prelude (group_norm_moments.ts): WG, X (vec4 type of x).

struct Params {
  area: u32, // pixels of an image
  columns: u32, // vec4s of channels
  chunk: u32, // pixels of a chunk; the last may be shorter
  chunks: u32, // of an image
  count: u32, // invocations: images · chunks · columns
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>; // [images, chunks, 2, columns]

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let c = i % params.columns;
  let part = i / params.columns; // image · chunks + chunk
  let start = part % params.chunks * params.chunk;
  let pixels = min(params.chunk, params.area - start);
  var at = (part / params.chunks * params.area + start) * params.columns + c;
  let origin = vec4<f32>(x[at]);
  var sum = vec4<f32>();
  var squares = vec4<f32>();
  for (var p = 1u; p < pixels; p++) {
    at += params.columns;
    let d = vec4<f32>(x[at]) - origin;
    sum += d;
    squares = fma(d, d, squares);
  }
  let mean = sum / f32(pixels);
  let out = part * 2 * params.columns + c;
  partials[out] = origin + mean;
  partials[out + params.columns] = max(fma(-sum, mean, squares), vec4(0.0));
}
