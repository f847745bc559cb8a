// dx[r] = (dy[r] − n (n · dy[r])) / |x[r]| with n = x[r] / |x[r]|, or dx plus that: a vector of the sphere moves along it
// only. A vector without a direction gets no gradient.
//
// Prelude (unit_vectors_backward.ts): WG, V (f32 or vec4<f32>), ADD, fn total(V) -> f32.

struct Params {
  rows: u32,
  width: u32, // Vs of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> dy: array<V>;
@group(0) @binding(3) var<storage, read_write> dx: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.y * groups.x * WG + id.x;
  if (row >= params.rows) { return; }
  let first = row * params.width;
  let end = first + params.width;
  var squares = V();
  var products = V();
  for (var i = first; i < end; i++) {
    squares = fma(x[i], x[i], squares);
    products = fma(x[i], dy[i], products);
  }
  let length = sqrt(total(squares));
  let inverse = select(0.0, 1 / length, length > 1e-12);
  let along = total(products) * inverse * inverse;
  for (var i = first; i < end; i++) {
    dx[i] = select(V(), dx[i], ADD) + (dy[i] - x[i] * along) * inverse;
  }
}
