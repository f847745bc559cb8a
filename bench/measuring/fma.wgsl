// The FMA rate that a kernel on this adapter can reach: registers only, 384 FMAs per invocation and round.
//
// Three vec4s are twelve independent chains: enough to hide the latency of an FMA, few enough for the 16 registers of a
// CPU (on lavapipe a fourth spills, and 128 steps outgrow the instruction cache). Nested calls unroll the steps,
// because Naga adds guards to loops. `decay` and `step` are parameters, so the compiler cannot fold anything.
//
// Prelude (ceilings.ts): T (f32 or f16), OWN (whether each invocation has factors and terms of its own, so that an FMA
// reads three registers; otherwise they are uniform).

struct Params {
  rounds: u32,
  decay: f32,
  step: f32,
}

struct Chains {
  a: vec4<T>,
  b: vec4<T>,
  c: vec4<T>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

fn x1(v: Chains, decay: vec4<T>, step: vec4<T>) -> Chains {
  return Chains(fma(v.a, decay, step), fma(v.b, decay, step), fma(v.c, decay, step));
}

fn x4(v: Chains, decay: vec4<T>, step: vec4<T>) -> Chains {
  return x1(x1(x1(x1(v, decay, step), decay, step), decay, step), decay, step);
}

fn x16(v: Chains, decay: vec4<T>, step: vec4<T>) -> Chains {
  return x4(x4(x4(x4(v, decay, step), decay, step), decay, step), decay, step);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var decay = vec4(T(params.decay));
  var step = vec4(T(params.step));
  if (OWN) {
    let own = vec4(T(id.x % 3), T(id.x % 5), T(id.x % 7), T(id.x % 11)) * T(0.03125);
    decay += own;
    step += own;
  }
  let first = vec4(T(id.x % 1024));
  var v = Chains(first, first + 1, first + 2);
  for (var i = 0u; i < params.rounds; i++) {
    v = x16(x16(v, decay, step), decay, step);
  }
  y[id.x] = vec4<f32>(v.a + v.b + v.c);
}
