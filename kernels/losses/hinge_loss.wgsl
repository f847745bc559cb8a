// terms[i] = (loss, whether the discriminator is right) of one of its answers, as means, and the gradient of the loss.
//
// Prelude (hinge_loss.ts): WG, X (element of x), GRADIENT, ADD; fn narrow(f32) -> X, fn hinge(f32) -> vec3<f32>: the
// loss of an answer, its slope, and 1 if the answer is right.

struct Params {
  count: u32, // answers
  mean: f32, // 1 / count
  scale: f32, // of the gradient
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> gradient: array<X>;
@group(0) @binding(3) var<storage, read_write> terms: array<vec2<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let h = hinge(f32(x[i]));
  if (GRADIENT) {
    var g = params.scale * params.mean * h.y;
    if (ADD) { g += f32(gradient[i]); }
    gradient[i] = narrow(g);
  }
  terms[i] = vec2(h.x, h.z) * params.mean;
}
