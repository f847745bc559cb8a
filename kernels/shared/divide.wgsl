// Integer division for CPU adapters, where the operator is a scalar loop over the lanes. Not a kernel: text for
// preludes.

// a / b for a below 2^24
fn divide(a: u32, b: u32) -> u32 {
  let q = u32(f32(a) / f32(b)); // off by one at most
  let rest = i32(a) - i32(q * b);
  return select(select(q, q + 1, rest >= i32(b)), q - 1, rest < 0);
}
