// As f16. Not a kernel: text for preludes. Numbers beyond f16's largest are taken for it; NaN and infinity stay what they are
fn half(v: vec4<f32>) -> vec4<f16> {
  let finite = abs(v) <= vec4(bitcast<f32>(0x7f7fffffu));
  return vec4<f16>(select(v, clamp(v, vec4(-65504.0), vec4(65504.0)), finite));
}
