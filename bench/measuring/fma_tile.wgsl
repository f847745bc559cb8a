// The FMA rate of a product's inner loop on this adapter: 8 × 8 sums in registers, without any memory, 384 FMAs per
// invocation and round. No product in this shape is faster.
//
// Half of the columns after the other, because drivers hand out registers better in that order. `decay` and `step` are
// parameters, so the compiler cannot fold anything.
//
// Prelude (ceilings.ts): T (f32 or f16).

struct Params {
  rounds: u32,
  decay: f32,
  step: f32,
}

// rows 0 to 7 of columns 0 to 3 and 4 to 7
struct Sums {
  l0: vec4<T>, l1: vec4<T>, l2: vec4<T>, l3: vec4<T>, l4: vec4<T>, l5: vec4<T>, l6: vec4<T>, l7: vec4<T>,
  h0: vec4<T>, h1: vec4<T>, h2: vec4<T>, h3: vec4<T>, h4: vec4<T>, h5: vec4<T>, h6: vec4<T>, h7: vec4<T>,
}

// 8 rows and 8 columns of the factors
struct Factors {
  a: vec4<T>, b: vec4<T>, l: vec4<T>, h: vec4<T>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

fn x1(s: Sums, f: Factors) -> Sums {
  let l0 = fma(vec4(f.a.x), f.l, s.l0);
  let l1 = fma(vec4(f.a.y), f.l, s.l1);
  let l2 = fma(vec4(f.a.z), f.l, s.l2);
  let l3 = fma(vec4(f.a.w), f.l, s.l3);
  let l4 = fma(vec4(f.b.x), f.l, s.l4);
  let l5 = fma(vec4(f.b.y), f.l, s.l5);
  let l6 = fma(vec4(f.b.z), f.l, s.l6);
  let l7 = fma(vec4(f.b.w), f.l, s.l7);
  let h0 = fma(vec4(f.a.x), f.h, s.h0);
  let h1 = fma(vec4(f.a.y), f.h, s.h1);
  let h2 = fma(vec4(f.a.z), f.h, s.h2);
  let h3 = fma(vec4(f.a.w), f.h, s.h3);
  let h4 = fma(vec4(f.b.x), f.h, s.h4);
  let h5 = fma(vec4(f.b.y), f.h, s.h5);
  let h6 = fma(vec4(f.b.z), f.h, s.h6);
  let h7 = fma(vec4(f.b.w), f.h, s.h7);
  return Sums(l0, l1, l2, l3, l4, l5, l6, l7, h0, h1, h2, h3, h4, h5, h6, h7);
}

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let own = vec4(T(id.x % 3), T(id.x % 5), T(id.x % 7), T(id.x % 11));
  let more = vec4(T(id.x % 4), T(id.x % 6), T(id.x % 8), T(id.x % 9));
  let f = Factors(T(params.decay) * own, T(params.decay) * more, T(params.step) * own, T(params.step) * more);
  var s = Sums();
  for (var i = 0u; i < params.rounds; i++) {
    s = x1(x1(x1(x1(x1(x1(s, f), f), f), f), f), f);
  }
  let low = s.l0 + s.l1 + s.l2 + s.l3 + s.l4 + s.l5 + s.l6 + s.l7;
  let high = s.h0 + s.h1 + s.h2 + s.h3 + s.h4 + s.h5 + s.h6 + s.h7;
  y[id.x] = vec4<f32>(low + high);
}
