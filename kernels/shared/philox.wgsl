// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): turns a counter and a key into
// four random words, without state. Not a kernel: text for the preludes of kernels that need random numbers.

// a · b as (high, low) words, from halves: WGSL has no 64-bit product
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let first = a1 * b0 + ((a0 * b0) >> 16u);
  let second = a0 * b1 + (first & 0xffffu);
  return vec2(a1 * b1 + (first >> 16u) + (second >> 16u), a * b);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  var x = counter;
  var k = key;
  for (var round = 0u; round < 10; round++) {
    let p = multiply_wide(0xD2511F53u, x.x);
    let q = multiply_wide(0xCD9E8D57u, x.z);
    x = vec4(q.x ^ x.y ^ k.x, q.y, p.x ^ x.w ^ k.y, p.y);
    k += vec2(0x9E3779B9u, 0xBB67AE85u);
  }
  return x;
}

// the high 24 bits of a random word as a number in [0, 1), exactly
fn unit(word: u32) -> f32 { return f32(word >> 8u) * 5.9604644775390625e-8; }
