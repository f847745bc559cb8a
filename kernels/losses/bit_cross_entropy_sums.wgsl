// stats[0] = sums over all tokens, stats[1 + s] = sums over the tokens of scale s, of what tokens have summed over images
// already; means of the last three columns. One workgroup per row of stats.
//
// Prelude (bit_cross_entropy.ts): WG, ADD.

struct Params {
  rows: u32, // tokens
  images: f32,
  width: f32, // bits of a token
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> starts: array<u32>; // first tokens of the scales
@group(0) @binding(3) var<storage, read_write> stats: array<vec4<f32>>;

var<workgroup> parts: array<vec4<f32>, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let row = group.x;
  var begin = 0u;
  var end = params.rows;
  if (row > 0) {
    begin = min(starts[row - 1], params.rows);
    end = min(starts[row], params.rows);
  }
  var sum = vec4<f32>();
  for (var i = begin + index; i < end; i += WG) { sum += tokens[i]; }
  parts[index] = sum;
  workgroupBarrier();
  if (index == 0) {
    var all = vec4<f32>();
    for (var i = 0u; i < WG; i++) { all += parts[i]; }
    let count = max(1.0, f32(end - begin) * params.images);
    all /= vec4(1.0, count, count * params.width, count);
    if (ADD) { all += stats[row]; }
    stats[row] = all;
  }
}
