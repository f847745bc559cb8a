// One update of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) over a page of parameters,
// the moving average of what it makes of them, and zeros for the next gradient: each number is read and written once,
// because memory decides the speed. What depends on the norm of all gradients comes from global_norm.
//
// Prelude (adamw.ts): WG, EMA, V (elements as bound: scalar or vec4), places in the status.

struct Params {
  count: u32, // elements of V
  rate: f32, // learning rate
  keep: f32, // 1 − learning rate · weight decay
  beta1: f32,
  rest1: f32, // 1 − beta1
  beta2: f32,
  rest2: f32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> status: array<u32>;
@group(0) @binding(2) var<storage, read_write> value: array<V>;
@group(0) @binding(3) var<storage, read_write> grad: array<V>;
@group(0) @binding(4) var<storage, read_write> m: array<V>;
@group(0) @binding(5) var<storage, read_write> v: array<V>;
@group(0) @binding(6) var<storage, read_write> ema: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  if (status[SKIP] != 0) {
    grad[i] = V();
    return;
  }
  let g = bitcast<f32>(status[FACTOR]) * grad[i];
  let first = params.beta1 * m[i] + params.rest1 * g;
  let second = params.beta2 * v[i] + params.rest2 * g * g;
  let mean = first / bitcast<f32>(status[CORRECTION1]);
  let deviation = sqrt(second / bitcast<f32>(status[CORRECTION2]));
  let updated = params.keep * value[i] - params.rate * mean / (deviation + params.eps);
  m[i] = first;
  v[i] = second;
  value[i] = updated;
  grad[i] = V();
  if (EMA) { ema[i] += bitcast<f32>(status[EMA_REST]) * (updated - ema[i]); }
}
