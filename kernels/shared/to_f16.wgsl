// Rounds to f16. Numbers beyond the range of f16 become its largest; NaN and infinity stay. Not a kernel: text for
// preludes.
fn to_f16(v: vec4<f32>) -> vec4<f16> {
  let finite = abs(v) <= vec4(bitcast<f32>(0x7f7fffffu));
  return vec4<f16>(select(v, clamp(v, vec4(-65504.0), vec4(65504.0)), finite));
}
