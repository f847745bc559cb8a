// terms[r] = what a unit vector adds to (loss, entropy of a vector, entropy of the codebook, commitment), and the
// gradient of the loss by it. Components are independent, so entropies of codes are sums over them, never over 2^d codes.
//
// One invocation makes a vector; the first one adds the entropy of the codebook, which is of the means.
//
// Prelude (code_losses.ts): WG, V (f32 or vec4<f32>), GRADIENT, ADD, code_losses_soft.wgsl, fn total(V) -> f32.

struct Params {
  rows: u32,
  width: u32, // Vs of a vector
  sharpness: f32,
  share: f32, // 1 / vectors
  size: f32, // of a code's components: 1 / √d
  mean: f32, // 1 / (vectors · d)
  vector: f32, // what the losses count
  codebook: f32,
  commitment: f32,
  scale: f32, // of the gradient
  part: f32, // of the terms
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> n: array<V>;
@group(0) @binding(2) var<storage, read> sums: array<V>; // of p over all vectors
@group(0) @binding(3) var<storage, read_write> gradient: array<V>;
@group(0) @binding(4) var<storage, read_write> terms: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.y * groups.x * WG + id.x;
  if (row >= params.rows) { return; }
  let first = row * params.width;
  var own = V();
  var all = V();
  var squares = V();
  for (var k = 0u; k < params.width; k++) {
    let v = n[first + k];
    let s = soft(v * params.sharpness);
    // a mean may round to more than 1, whose rest has no logarithm
    let p = min(sums[k] * params.share, V(1.0));
    let mean = Soft(p, 1 - p);
    let error = v - select(V(-params.size), V(params.size), v > V());
    own += entropy(s);
    all += entropy(mean);
    squares = fma(error, error, squares);
    if (GRADIENT) {
      let slope = params.vector * entropy_slope(s) - params.codebook * entropy_slope(mean);
      var g = -slope * params.sharpness * params.share * s.p * s.q;
      g = params.scale * fma(V(2 * params.commitment * params.mean), error, g);
      if (ADD) { g += gradient[first + k]; }
      gradient[first + k] = g;
    }
  }
  let vector = total(own) * params.share;
  let codebook = select(0.0, total(all), row == 0);
  let commitment = total(squares) * params.mean;
  let loss = params.vector * vector - params.codebook * codebook + params.commitment * commitment;
  terms[row] = params.part * vec4(loss, vector, codebook, commitment);
}
