// 8 rows of vec4s, and their product with 4 rows of weights. Not a kernel: text for the preludes of matmul_texture.wgsl
// and conv2d_texture.wgsl, whose lanes hand such rows round.

struct Rows {
  r0: vec4<f32>,
  r1: vec4<f32>,
  r2: vec4<f32>,
  r3: vec4<f32>,
  r4: vec4<f32>,
  r5: vec4<f32>,
  r6: vec4<f32>,
  r7: vec4<f32>,
}

// sum += 4 values of x from one lane, the same in every lane, times 4 rows of w
fn madd(sum: vec4<f32>, a: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {
  return fma(vec4(a.w), w3, fma(vec4(a.z), w2, fma(vec4(a.y), w1, fma(vec4(a.x), w0, sum))));
}
