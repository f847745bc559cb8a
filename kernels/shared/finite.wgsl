// Whether the f32 of these bits is a number. Bits are compared, because compilers may assume that a float is a finite
// number. Not a kernel: text for preludes.
fn is_finite(bits: u32) -> bool { return (bits & 0x7fffffff) < 0x7f800000; }
