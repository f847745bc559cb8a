// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) for few rows, where weights are read once and that takes
// longest.
//
// A workgroup makes ROWS × 4 ACROSS of y, and its invocations share K: each makes one slice of it, every SLICES-th
// vec4, so that all of them read weights at once. Slices are added within a subgroup by shuffles, in a fixed tree, then
// in order through workgroup memory, TURN rows at a time. The bits of a row depend on ACROSS, WG and the size of a
// subgroup, not on the number of rows.
//
// Prelude (matmul_rows.ts): ROWS, ACROSS, SLICES, SPAN (invocations whose sums shuffles make one), PARTS (what remains
// of the slices), TURN, WG; struct Invocation and fn place (where an invocation stands among the others, subgroup by
// subgroup); struct Sums; fns add, add_two, finish_all and total. product.ts: X, Y, W; fns fetch_x, fetch_w, unpack_w,
// store_y, epilogue.

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
@group(0) @binding(2) var<storage, read> w: array<W>;
@group(0) @binding(3) var<storage, read> scales: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<Y>;

var<workgroup> parts: array<array<array<vec4<f32>, ACROSS>, TURN>, PARTS>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  invocation: Invocation,
) {
  let m = (group.z * groups.y + group.y) * ROWS;
  if (m >= params.M) { return; }
  let columns = (params.N + 3) / 4;
  let depth = (params.K + 3) / 4;
  let at = place(invocation);
  let n = min(group.x * ACROSS + at % ACROSS, columns - 1);
  var sums = Sums();
  var k = at / ACROSS;
  for (; k + SLICES < depth; k += 2 * SLICES) { sums = add_two(sums, m, k, n, columns); }
  if (k < depth) { sums = add(sums, m, k, n, columns); }
  finish_all(sums, m, group.x * ACROSS, at);
}

fn row(m: u32) -> u32 { return min(m, params.M - 1); }

fn madd(sum: vec4<f32>, x: Fetched, p: mat2x4<f32>, q: mat2x4<f32>) -> vec4<f32> {
  let a = vec4<f32>(x);
  return fma(vec4(a.w), q[1], fma(vec4(a.z), q[0], fma(vec4(a.y), p[1], fma(vec4(a.x), p[0], sum))));
}

// keeps the sum of a subgroup, or of a slice, as row r of a turn
fn keep(r: u32, at: u32, sum: vec4<f32>) {
  if (at % SPAN < ACROSS) { parts[at / SPAN][r][at % ACROSS] = sum; }
}

// adds up the parts of the rows of a turn, and stores them from (m, 4n) on
fn finish(m: u32, n: u32, at: u32) {
  let r = at / ACROSS;
  let c = at % ACROSS;
  if (r < TURN && m + r < params.M && n + c < (params.N + 3) / 4) {
    store_y(m + r, n + c, epilogue(m + r, n + c, total(r, c)));
  }
}
