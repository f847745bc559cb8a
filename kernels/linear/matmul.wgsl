// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]): every linear layer.
//
// One invocation makes 8 rows × 4 columns in registers. Weights are packed [K, N] (see transpose.wgsl), so that
// neighbouring invocations read neighbouring vec4s. They all read the same rows of x, which stay in the cache.
// load_w returns 4 rows of k as f32, whatever the storage type. Sums run over k in order with fma, so the bits of a row
// do not depend on the number of rows.
//
// Prelude (matmul.ts): WG. product.ts: X, Y (element types of x and y as bound: scalar or vec4), W (an element of w as
// bound); fns load_x, load_w, store_y, epilogue.

struct Params {
  M: u32,
  K: u32,
  N: u32,
  rows_per_gate: u32, // rows of y that share one row of the gate
  gate_stride: u32, // vec4s between rows of the gate
  gate_offset: u32, // vec4s before its first row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> w: array<W>;
@group(0) @binding(3) var<storage, read> scales: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<Y>;

fn madd(acc: vec4<f32>, a: vec4<f32>, b: mat4x4<f32>) -> vec4<f32> {
  return fma(vec4(a.w), b[3], fma(vec4(a.z), b[2], fma(vec4(a.y), b[1], fma(vec4(a.x), b[0], acc))));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = (params.N + 3) / 4;
  let n = min(group.x * WG + lane, columns - 1); // spare invocations repeat the last column and store nothing
  let m = (group.z * groups.y + group.y) * 8;
  let last = params.M - 1;
  if (m > last) { return; }
  let r1 = min(m + 1, last);
  let r2 = min(m + 2, last);
  let r3 = min(m + 3, last);
  let r4 = min(m + 4, last);
  let r5 = min(m + 5, last);
  let r6 = min(m + 6, last);
  let r7 = min(m + 7, last);
  var a0 = vec4<f32>();
  var a1 = vec4<f32>();
  var a2 = vec4<f32>();
  var a3 = vec4<f32>();
  var a4 = vec4<f32>();
  var a5 = vec4<f32>();
  var a6 = vec4<f32>();
  var a7 = vec4<f32>();
  let steps = (params.K + 3) / 4;
  for (var k = 0u; k < steps; k++) {
    let b = load_w(k, n, columns);
    a0 = madd(a0, load_x(m, k), b);
    a1 = madd(a1, load_x(r1, k), b);
    a2 = madd(a2, load_x(r2, k), b);
    a3 = madd(a3, load_x(r3, k), b);
    a4 = madd(a4, load_x(r4, k), b);
    a5 = madd(a5, load_x(r5, k), b);
    a6 = madd(a6, load_x(r6, k), b);
    a7 = madd(a7, load_x(r7, k), b);
  }
  if (group.x * WG + lane >= columns) { return; }
  finish(m, n, a0);
  if (m + 1 <= last) { finish(m + 1, n, a1); }
  if (m + 2 <= last) { finish(m + 2, n, a2); }
  if (m + 3 <= last) { finish(m + 3, n, a3); }
  if (m + 4 <= last) { finish(m + 4, n, a4); }
  if (m + 5 <= last) { finish(m + 5, n, a5); }
  if (m + 6 <= last) { finish(m + 6, n, a6); }
  if (m + 7 <= last) { finish(m + 7, n, a7); }
}

fn finish(m: u32, n: u32, sum: vec4<f32>) {
  store_y(m, n, epilogue(m, n, sum));
}
