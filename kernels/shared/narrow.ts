/**
 * WGSL of a function that returns the vector or scalar V of f32 as Y, of `dtype`. As f16, numbers beyond its range
 * become its largest; NaN and infinity stay, so that a check finds them.
 */
export function narrowLines(dtype: string, V: string, Y: string, name: string = "narrow"): string {
  if (dtype !== "f16") return `fn ${name}(v: ${V}) -> ${Y} { return v; }`;
  return `fn ${name}(v: ${V}) -> ${Y} {
  let finite = abs(v) <= ${V}(bitcast<f32>(0x7f7fffffu));
  return ${Y}(select(v, clamp(v, ${V}(-65504.0), ${V}(65504.0)), finite));
}`;
}

/** WGSL `to_f16(v)`: a vec4 of f32 as f16, for operands of tensor cores. */
export const TO_F16: string = narrowLines("f16", "vec4<f32>", "vec4<f16>", "to_f16");
