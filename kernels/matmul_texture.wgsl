// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) where a subgroup is one CPU vector register (lavapipe).
//
// There a storage load inside a loop is a scalar loop over the lanes, a texture load is not, and a shuffle from a
// constant lane is one instruction. So: a workgroup is one subgroup; weights come from a texture [K, N / 4]; each lane
// loads one vec4 of a row of x and the lanes hand theirs round. One invocation makes 8 rows × 4 columns.
// Rows run fastest over the grid, so that a strip of w stays in cache for all of them.
// Sums run over k in order with fma, as in matmul.wgsl.
//
// Prelude (matmul.ts): X, Y, LANES; lanes.wgsl; fns load_x, store_y, epilogue, and multiply (LANES times 4 k,
// unrolled).

struct Params {
  M: u32,
  K: u32,
  N: u32,
  rows_per_gate: u32,
  gate_stride: u32,
  gate_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var w: texture_2d<f32>;
@group(0) @binding(3) var<storage, read> scales: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = (params.N + 3) / 4;
  let n = group.z * LANES + lane;
  let m = (group.y * groups.x + group.x) * 8;
  let last = params.M - 1;
  if (m > last) { return; }
  let steps = (params.K + 3) / 4;
  var sum = Rows();
  for (var k = 0u; k < steps; k += LANES) {
    let mine = k + lane;
    let at = min(mine, steps - 1);
    let keep = select(0.0, 1.0, mine < steps); // lanes beyond K contribute zeros
    var a: Rows;
    a.r0 = keep * load_x(m, at);
    a.r1 = keep * load_x(min(m + 1, last), at);
    a.r2 = keep * load_x(min(m + 2, last), at);
    a.r3 = keep * load_x(min(m + 3, last), at);
    a.r4 = keep * load_x(min(m + 4, last), at);
    a.r5 = keep * load_x(min(m + 5, last), at);
    a.r6 = keep * load_x(min(m + 6, last), at);
    a.r7 = keep * load_x(min(m + 7, last), at);
    sum = multiply(sum, a, vec2(n, 4 * k));
  }
  if (n >= columns) { return; }
  store_y(m, n, epilogue(m, n, sum.r0));
  if (m + 1 <= last) { store_y(m + 1, n, epilogue(m + 1, n, sum.r1)); }
  if (m + 2 <= last) { store_y(m + 2, n, epilogue(m + 2, n, sum.r2)); }
  if (m + 3 <= last) { store_y(m + 3, n, epilogue(m + 3, n, sum.r3)); }
  if (m + 4 <= last) { store_y(m + 4, n, epilogue(m + 4, n, sum.r4)); }
  if (m + 5 <= last) { store_y(m + 5, n, epilogue(m + 5, n, sum.r5)); }
  if (m + 6 <= last) { store_y(m + 6, n, epilogue(m + 6, n, sum.r6)); }
  if (m + 7 <= last) { store_y(m + 7, n, epilogue(m + 7, n, sum.r7)); }
}
