// packed[k, n] = w[n, k]: a linear layer's weight, [N, K] in the checkpoint, laid out for matmul.wgsl.
// K and N are padded to whole vec4s with zeros, so that the multiplication needs no guards.
//
// Prelude (matmul.ts): W (storage type of the packed weight).

struct Params {
  K: u32,
  N: u32,
  columns: u32, // vec4s of a packed row
  first: u32, // column of the packed weight where this one begins
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<W>>;

fn at(n: u32, k: u32) -> f32 {
  return select(0.0, w[min(n, params.N - 1) * params.K + min(k, params.K - 1)], n < params.N && k < params.K);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  let columns = (params.N + 3) / 4;
  let k = i / columns;
  let n = i % columns;
  if (k >= (params.K + 3) / 4 * 4) { return; }
  packed[k * params.columns + params.first / 4 + n] = vec4<W>(vec4(at(4 * n, k), at(4 * n + 1, k), at(4 * n + 2, k), at(4 * n + 3, k)));
}
