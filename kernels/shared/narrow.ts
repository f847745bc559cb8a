/**
 * WGSL `narrow(v)`: the vector or scalar V of f32 as Y, of `dtype`. As f16, numbers beyond its range become its largest;
 * NaN and infinity stay, so that a check finds them.
 */
export function narrowLines(dtype: string, V: string, Y: string): string {
  if (dtype !== "f16") return `fn narrow(v: ${V}) -> ${Y} { return v; }`;
  return `fn narrow(v: ${V}) -> ${Y} {
  let finite = abs(v) <= ${V}(bitcast<f32>(0x7f7fffffu));
  return ${Y}(select(v, clamp(v, ${V}(-65504.0), ${V}(65504.0)), finite));
}`;
}
