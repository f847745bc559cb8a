// pooled[b] = dy[b, 0] and words[b, l − 1] = dy[b, l], or those plus that: the gradients of token_input.wgsl by what each
// image has of its own.
//
// Prelude (token_input_backward.ts): WG, DY, P, W (vec4 types of dy, pooled and words), POOLED, WORDS (what is wanted),
// ADD_POOLED, ADD_WORDS; fns narrow_pooled, narrow_words.

struct Params {
  count: u32, // vec4s of dy
  rows: u32, // tokens per image
  width: u32, // vec4s
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<DY>;
@group(0) @binding(2) var<storage, read_write> pooled: array<P>;
@group(0) @binding(3) var<storage, read_write> words: array<W>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let row = i / params.width;
  let c = i - row * params.width;
  let b = row / params.rows;
  var v = vec4<f32>(dy[i]);
  if (row == b * params.rows) {
    if (POOLED) {
      let to = b * params.width + c;
      if (ADD_POOLED) { v += vec4<f32>(pooled[to]); }
      pooled[to] = narrow_pooled(v);
    }
  } else if (WORDS) {
    let to = i - (b + 1) * params.width;
    if (ADD_WORDS) { v += vec4<f32>(words[to]); }
    words[to] = narrow_words(v);
  }
}
