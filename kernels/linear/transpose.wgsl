// y[r, c] = scale · x[c, r], or scale · x[r, c]: transposes a matrix, or brings it into the layout of a packed weight, for
// which [N, K] in the checkpoint is transposed and [K, N] is not. Outside of x are zeros, so that products of what is
// packed need no guards.
//
// One invocation moves a block of 4 × 4, so that it reads and writes vec4s. A workgroup moves ACROSS blocks of a row of
// y by DOWN, and the next one goes on below: so y is written in long runs, and cache lines of x are read again soon.
// Spare invocations store nothing.
//
// Prelude (transpose.ts): TRANSPOSED, SCALED, ACROSS, DOWN, X, Y (elements as bound: scalar or vec4); fns load(r, c),
// 4 elements of row r of x from column 4c on, as f32, and store(r, c, v) of y.

struct Params {
  rows: u32, // of x
  width: u32, // columns of x to move
  pitch: u32, // elements of a row of x
  first: u32, // column of x to begin with
  first_row: u32, // of y, in blocks
  first_column: u32,
  down: u32, // rows of y, in blocks
  across: u32,
  columns: u32, // elements of a row of y; of a packed weight, vec4s; in strips, rows of one
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

fn block(r: u32, c: u32) -> mat4x4<f32> {
  return mat4x4(load(4 * r, c), load(4 * r + 1, c), load(4 * r + 2, c), load(4 * r + 3, c));
}

@compute @workgroup_size(ACROSS, DOWN)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
) {
  let i = group.y * groups.x + group.x;
  let tiles = (params.down + DOWN - 1) / DOWN;
  let r = i % tiles * DOWN + id.y;
  let c = i / tiles * ACROSS + id.x;
  if (r >= params.down || c >= params.across) { return; }
  var v: mat4x4<f32>;
  if (TRANSPOSED) { v = transpose(block(c, r)); } else { v = block(r, c); }
  if (SCALED) { v *= params.scale; }
  for (var j = 0u; j < 4; j++) { store(4 * (params.first_row + r) + j, params.first_column + c, v[j]); }
}
