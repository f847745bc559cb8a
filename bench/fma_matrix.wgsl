// The rate that subgroup matrices on this adapter can reach: registers only, 16 products per subgroup and round.
//
// Two by two operands are four independent chains, and a workgroup is one subgroup, of which a core runs many: enough
// to hide the latency of a product. The operands come from a buffer, so the compiler cannot fold anything.
//
// Prelude (ceilings.ts): Left, Right, Result, LANES, M, N, K.

struct Params {
  rounds: u32,
}

struct Sums {
  a: Result,
  b: Result,
  c: Result,
  d: Result,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f16>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let l0 = subgroupMatrixLoad<Left, row_major>(&x, 0, K);
  let l1 = subgroupMatrixLoad<Left, row_major>(&x, M * K, K);
  let r0 = subgroupMatrixLoad<Right, row_major>(&x, 0, N);
  let r1 = subgroupMatrixLoad<Right, row_major>(&x, K * N, N);
  var s: Sums;
  for (var i = 0u; i < params.rounds; i++) {
    for (var j = 0u; j < 4; j++) {
      s.a = subgroupMatrixMultiplyAccumulate(l0, r0, s.a);
      s.b = subgroupMatrixMultiplyAccumulate(l0, r1, s.b);
      s.c = subgroupMatrixMultiplyAccumulate(l1, r0, s.c);
      s.d = subgroupMatrixMultiplyAccumulate(l1, r1, s.d);
    }
  }
  let at = group.x * 4 * M * N;
  subgroupMatrixStore<row_major>(&y, at, s.a, N);
  subgroupMatrixStore<row_major>(&y, at + M * N, s.b, N);
  subgroupMatrixStore<row_major>(&y, at + 2 * M * N, s.c, N);
  subgroupMatrixStore<row_major>(&y, at + 3 * M * N, s.d, N);
}
