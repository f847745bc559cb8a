// The gradient of T5's relative bias, second step: table[bucket, head] = Σ of the sums of all distances of that bucket,
// in order, or that added to it.
//
// Prelude (attention_backward_bias.ts): WG, ADD.

struct Params {
  count: u32, // buckets · heads
  heads: u32,
  parts: u32,
  first: i32, // distance of the first diagonal
  distances: u32,
  bias_centre: i32,
  bias_last: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [parts, distances, heads]
@group(0) @binding(2) var<storage, read> bucket_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let head = i % params.heads;
  var sum = 0.0;
  for (var n = 0u; n < params.distances; n++) {
    let at = u32(clamp(params.bias_centre + params.first + i32(n), 0, params.bias_last));
    if (bucket_of[at] != i / params.heads) { continue; }
    for (var part = 0u; part < params.parts; part++) {
      sum += sums[(part * params.distances + n) * params.heads + head];
    }
  }
  if (ADD) { sum += table[i]; }
  table[i] = sum;
}
