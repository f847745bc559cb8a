// moments[b, 0, c] = mean of c's group, moments[b, 2, c] = 1 / sqrt(variance of the group + eps), moments[b, 1, c] = that
// times weight[c]: GroupNorm's statistics, combined from the partial ones of group_norm_stats_workgroup.wgsl.
//
// A workgroup takes a group of an image; its invocations read the chunks side by side and add them in a fixed tree,
// first for the mean, then for the deviations from it. The mean is a sum of differences to one partial mean: GPUs
// divide inexactly, and an error in proportion to a large mean would be one of many deviations.
//
// Prelude (group_norm_moments.ts): WG.

struct Params {
  area: u32, // pixels of an image
  band: u32, // pixels of a band of the image; the last may be shorter
  C: u32, // channels
  groups: u32,
  chunk: u32, // pixels of a chunk; the last of a band may be shorter
  chunks: u32, // of an image
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec2<f32>>; // [images, chunks, groups]
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> moments: array<f32>; // [images, 3, C]

var<workgroup> sums: array<f32, WG>;

fn total(index: u32, own: f32) -> f32 {
  workgroupBarrier();
  sums[index] = own;
  for (var half = WG / 2u; half > 0; half /= 2) {
    workgroupBarrier();
    if (index < half) { sums[index] += sums[index + half]; }
  }
  workgroupBarrier();
  return sums[0];
}

// pixels of a chunk
fn pixels(k: u32) -> f32 {
  let each = (params.band + params.chunk - 1) / params.chunk; // chunks of a band
  let band = k / each;
  let start = band * params.band + k % each * params.chunk;
  return f32(min(params.chunk, min((band + 1) * params.band, params.area) - start));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let image = group.y;
  let width = params.C / params.groups;
  let first = group.x * width;
  let start = image * params.chunks * params.groups + group.x;
  let origin = partials[start].x;
  var own = 0.0;
  for (var k = index; k < params.chunks; k += WG) {
    own = fma(pixels(k), partials[start + k * params.groups].x - origin, own);
  }
  let mean = origin + total(index, own) / f32(params.area);
  own = 0.0;
  for (var k = index; k < params.chunks; k += WG) {
    let part = partials[start + k * params.groups];
    let d = part.x - mean;
    own += fma(pixels(k) * f32(width) * d, d, part.y);
  }
  let scale = 1 / sqrt(total(index, own) / (f32(params.area) * f32(width)) + params.eps);
  for (var c = index; c < width; c += WG) {
    let out = image * 3 * params.C + first + c;
    moments[out] = mean;
    moments[out + params.C] = scale * weight[first + c];
    moments[out + 2 * params.C] = scale;
  }
}
