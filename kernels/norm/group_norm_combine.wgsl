// moments[b, 0, c] = mean of c's group, moments[b, 2, c] = 1 / sqrt(variance of the group + eps), moments[b, 1, c] = that
// times weight[c]: GroupNorm's statistics, combined from the partial ones of group_norm_stats.wgsl.
//
// One invocation per image and group reads its partial statistics twice, first for the mean, then for the deviations
// from it: nothing cancels, and the order is always the same. The mean is a sum of differences to one partial mean:
// adapters divide inexactly, and an error in proportion to a large mean would be one of many deviations.
//
// Prelude (group_norm_moments.ts): WG.

struct Params {
  area: u32, // pixels of an image
  C: u32, // channels
  groups: u32,
  chunk: u32, // pixels of a chunk; the last may be shorter
  chunks: u32, // of an image
  count: u32, // invocations: images · groups
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>; // [images, chunks, 2, C]
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> moments: array<f32>; // [images, 3, C]

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.count) { return; }
  let image = id.x / params.groups;
  let width = params.C / params.groups;
  let first = id.x % params.groups * width;
  let start = image * params.chunks * 2 * params.C + first;
  let total = f32(params.area) * f32(width);
  let origin = partials[start];
  var shift = 0.0;
  for (var k = 0u; k < params.chunks; k++) {
    let pixels = f32(min(params.chunk, params.area - k * params.chunk));
    for (var c = 0u; c < width; c++) {
      shift = fma(pixels, partials[start + k * 2 * params.C + c] - origin, shift);
    }
  }
  let mean = origin + shift / total;
  var squares = 0.0;
  for (var k = 0u; k < params.chunks; k++) {
    let pixels = f32(min(params.chunk, params.area - k * params.chunk));
    for (var c = 0u; c < width; c++) {
      let at = start + k * 2 * params.C + c;
      let d = partials[at] - mean;
      squares += fma(pixels * d, d, partials[at + params.C]);
    }
  }
  let scale = 1 / sqrt(squares / total + params.eps);
  for (var c = 0u; c < width; c++) {
    let out = image * 3 * params.C + first + c;
    moments[out] = mean;
    moments[out + params.C] = scale * weight[first + c];
    moments[out + 2 * params.C] = scale;
  }
}
