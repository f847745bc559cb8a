// The rate that subgroup matrices on this adapter can reach: 16 products per subgroup and round, of operands that stay
// in registers, or that are loaded from workgroup memory each time, one load to a product, as a product of tiles does.
//
// Two by two operands are four independent chains, and a workgroup has SUBGROUPS, of which a core runs many: enough to
// hide the latency of a product. The operands come from a buffer, so the compiler cannot fold anything.
//
// Prelude (ceilings.ts): Left, Right, Result, LANES, SUBGROUPS, M, N, K, LOADED (whether operands are loaded each
// time), SETS (of two by two operands in workgroup memory), LEFT and RIGHT (vec4s of one operand there, rows padded by
// 16 bytes), LEFT_PITCH and RIGHT_PITCH (of its rows).

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
@group(0) @binding(1) var<storage, read> x: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const SET = 2 * (LEFT + RIGHT);
var<workgroup> tile: array<vec4<f16>, SETS * SET>;

@compute @workgroup_size(SUBGROUPS * LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  for (var i = index; i < SETS * SET; i += SUBGROUPS * LANES) { tile[i] = x[i]; }
  workgroupBarrier();
  var l0 = subgroupMatrixLoad<Left, row_major>(&tile, 0, LEFT_PITCH);
  var l1 = subgroupMatrixLoad<Left, row_major>(&tile, LEFT, LEFT_PITCH);
  var r0 = subgroupMatrixLoad<Right, row_major>(&tile, 2 * LEFT, RIGHT_PITCH);
  var r1 = subgroupMatrixLoad<Right, row_major>(&tile, 2 * LEFT + RIGHT, RIGHT_PITCH);
  var s = Sums();
  for (var i = 0u; i < params.rounds; i++) {
    for (var j = 0u; j < 4; j++) {
      if (LOADED) {
        // another set than in the turn before, or the loads would leave the loop
        let at = j % SETS * SET;
        l0 = subgroupMatrixLoad<Left, row_major>(&tile, at, LEFT_PITCH);
        l1 = subgroupMatrixLoad<Left, row_major>(&tile, at + LEFT, LEFT_PITCH);
        r0 = subgroupMatrixLoad<Right, row_major>(&tile, at + 2 * LEFT, RIGHT_PITCH);
        r1 = subgroupMatrixLoad<Right, row_major>(&tile, at + 2 * LEFT + RIGHT, RIGHT_PITCH);
      }
      s.a = subgroupMatrixMultiplyAccumulate(l0, r0, s.a);
      s.b = subgroupMatrixMultiplyAccumulate(l0, r1, s.b);
      s.c = subgroupMatrixMultiplyAccumulate(l1, r0, s.c);
      s.d = subgroupMatrixMultiplyAccumulate(l1, r1, s.d);
    }
  }
  let at = (group.x * SUBGROUPS + subgroup) * 4 * M * N;
  subgroupMatrixStore<row_major>(&y, at, s.a, N);
  subgroupMatrixStore<row_major>(&y, at + M * N, s.b, N);
  subgroupMatrixStore<row_major>(&y, at + 2 * M * N, s.c, N);
  subgroupMatrixStore<row_major>(&y, at + 3 * M * N, s.d, N);
}
