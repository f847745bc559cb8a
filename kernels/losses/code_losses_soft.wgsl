// The two soft probabilities of a component and their entropy. Not a kernel: text for preludes that have `alias V`.

struct Soft {
  p: V, // sigmoid(−a)
  q: V, // 1 − p, without loss of digits where it is small
}

fn soft(a: V) -> Soft {
  let e = exp(-abs(a)); // at most 1: no overflow
  let large = 1 / (1 + e);
  let small = e * large;
  return Soft(select(large, small, a >= V()), select(small, large, a >= V()));
}

// as the official code, which adds 1e-8 to what it takes the logarithm of
fn entropy(s: Soft) -> V { return -(s.p * log(s.p + 1e-8) + s.q * log(s.q + 1e-8)); }

// its derivative by p
fn entropy_slope(s: Soft) -> V {
  return log((s.q + 1e-8) / (s.p + 1e-8)) + s.q / (s.q + 1e-8) - s.p / (s.p + 1e-8);
}
