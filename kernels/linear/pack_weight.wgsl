// packed[k, n] = w[n, k]: transposes the weight of a linear layer, [N, K] in the checkpoint, for matmul.wgsl, or into
// strips for matmul_texture.wgsl. K and N are padded with zeros, so that the product needs no guards.
//
// One invocation transposes a block of 4 × 4, so that it reads and writes vec4s. Spare invocations repeat the last
// block: without a branch a CPU adapter stays vectorised.
// Prelude (linear.ts): W (storage type of the packed weight), R (elements of w as bound: f32, or vec4 if 4 divides K);
// fns load and packed_index.

struct Params {
  K: u32,
  N: u32,
  columns: u32, // vec4s of a packed row; in strips, the rows of one
  first: u32, // column of the packed weight where this one begins
  across: u32, // vec4s of n, and of k, to pack
  down: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<R>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<W>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = min(id.y * groups.x * 64 + id.x, params.across * params.down - 1);
  let k = i / params.across;
  let n = i % params.across;
  let block = transpose(mat4x4(load(4 * n, k), load(4 * n + 1, k), load(4 * n + 2, k), load(4 * n + 3, k)));
  for (var j = 0u; j < 4; j++) { packed[packed_index(4 * k + j, params.first / 4 + n)] = vec4<W>(block[j]); }
}
