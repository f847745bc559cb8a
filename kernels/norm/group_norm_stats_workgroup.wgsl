// partials[b, k, g] = (mean, sum of squared deviations) of group g over the k-th chunk of image b's pixels: the first
// step of GroupNorm on GPUs (then group_norm_combine_workgroup.wgsl and group_norm.wgsl).
//
// A workgroup takes a chunk: COLUMNS invocations read a pixel side by side, LANES pixels at once, four of them in
// flight. Sums are of differences to an invocation's first pixel, so a large mean costs no digits; what is added up
// afterwards are means and squares about them. All orders are fixed, and chunks depend on the size of the image alone.
//
// Prelude (group_norm_moments.ts): X (vec4 type of x), COLUMNS (vec4s of channels), LANES (pixels at once), ENTRY
// (channels of an entry: 4, or 1 where a group is not whole vec4s), EACH (4 / ENTRY), WG.

struct Params {
  area: u32, // pixels of an image, or of a band of one
  groups: u32,
  width: u32, // channels of a group
  chunk: u32, // pixels of a chunk; the last may be shorter
  chunks: u32, // of an image or band
  count: u32, // workgroups: images · chunks
  first: u32, // chunks of the bands before
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec2<f32>>; // [images, chunks, groups]

var<workgroup> entries: array<array<vec2<f32>, EACH>, WG>; // mean, squared deviations

struct Sums {
  sum: vec4<f32>,
  squares: vec4<f32>,
}

fn add(s: Sums, d: vec4<f32>) -> Sums { return Sums(s.sum + d, fma(d, d, s.squares)); }

// pixels of a chunk that a lane takes
fn share(pixels: u32, lane: u32) -> u32 { return (pixels + LANES - 1 - lane) / LANES; }

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let part = group.y * groups.x + group.x; // image · chunks + chunk
  if (part >= params.count) { return; }
  let start = part % params.chunks * params.chunk;
  let pixels = min(params.chunk, params.area - start);
  let lane = index / COLUMNS;
  let own = select(0, share(pixels, lane), lane < LANES);
  if (own > 0) {
    const step: u32 = LANES * COLUMNS;
    var at = (part / params.chunks * params.area + start) * COLUMNS + index;
    let origin = vec4<f32>(x[at]);
    var s = Sums();
    var k = 0u;
    for (; k + 4 <= own; k += 4) {
      let a = vec4<f32>(x[at]);
      let b = vec4<f32>(x[at + step]);
      let c = vec4<f32>(x[at + 2 * step]);
      let d = vec4<f32>(x[at + 3 * step]);
      s = add(add(add(add(s, a - origin), b - origin), c - origin), d - origin);
      at += 4 * step;
    }
    for (; k < own; k++) {
      s = add(s, vec4<f32>(x[at]) - origin);
      at += step;
    }
    let shift = s.sum / f32(own);
    keep(index, origin + shift, max(fma(-s.sum, shift, s.squares), vec4(0.0)), f32(own));
  }
  workgroupBarrier();
  for (var g = index; g < params.groups; g += WG) {
    partials[(params.first + part) * params.groups + g] = total(g, pixels);
  }
}

// keeps the moments of four channels over `own` pixels
fn keep(index: u32, mean: vec4<f32>, squares: vec4<f32>, own: f32) {
  if (ENTRY == 4) {
    let all = dot(mean, vec4(0.25));
    let d = mean - all;
    entries[index][0] = vec2(all, fma(own, dot(d, d), dot(squares, vec4(1.0))));
  } else {
    for (var i = 0u; i < EACH; i++) { entries[index][i] = vec2(mean[i], squares[i]); }
  }
}

// moments of a group over all pixels of the chunk; the mean by differences, since GPUs divide inexactly
fn total(group: u32, pixels: u32) -> vec2<f32> {
  let first = group * params.width / ENTRY;
  let count = params.width / ENTRY;
  let lanes = min(LANES, pixels);
  let origin = entries[first / EACH][first % EACH].x;
  var shift = 0.0;
  for (var lane = 0u; lane < lanes; lane++) {
    let weight = f32(share(pixels, lane));
    for (var e = first; e < first + count; e++) {
      shift = fma(weight, entries[lane * COLUMNS + e / EACH][e % EACH].x - origin, shift);
    }
  }
  let mean = origin + shift / f32(pixels * count);
  var squares = 0.0;
  for (var lane = 0u; lane < lanes; lane++) {
    let weight = f32(share(pixels, lane) * ENTRY);
    for (var e = first; e < first + count; e++) {
      let entry = entries[lane * COLUMNS + e / EACH][e % EACH];
      let d = entry.x - mean;
      squares += fma(weight * d, d, entry.y);
    }
  }
  return vec2(mean, squares);
}
