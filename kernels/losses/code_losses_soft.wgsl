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

// p + 1e-8, as the official code takes logarithms of. Compilers may make 1 − x + 1e-8 of it and lose the last term; max
// brings it back, so that no logarithm is of 0.
fn lifted(p: V) -> V { return max(p + 1e-8, V(1e-8)); }

fn entropy(s: Soft) -> V { return -(s.p * log(lifted(s.p)) + s.q * log(lifted(s.q))); }

// its derivative by p
fn entropy_slope(s: Soft) -> V {
  let p = lifted(s.p);
  let q = lifted(s.q);
  return log(q / p) + s.q / q - s.p / p;
}
