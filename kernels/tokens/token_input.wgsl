// y[b, l] = words[b % images, l - skip], or pooled[b] + start for the start token, and table[level[l]] on top: the
// input tokens of a pass. The unconditional half of a guided batch repeats the images of the conditional half.
//
// Prelude (token_input.ts): WG, W (vec4 type of words).

struct Params {
  batch: u32,
  rows: u32, // tokens per image
  width: u32, // vec4s
  images: u32, // images in words
  skip: u32, // 1 if token 0 is the start token, otherwise 0
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pooled: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> start: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> words: array<W>;
@group(0) @binding(4) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> level: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  let c = i % params.width;
  let l = i / params.width % params.rows;
  let b = i / params.width / params.rows;
  if (b >= params.batch) { return; }
  var token: vec4<f32>;
  if (l < params.skip) {
    token = pooled[b * params.width + c] + start[c];
  } else {
    let row = b % params.images * (params.rows - params.skip) + l - params.skip;
    token = vec4<f32>(words[row * params.width + c]);
  }
  y[i] = token + table[level[l] * params.width + c];
}
