import { vectorsOf } from "./vectors.ts";

/**
 * WGSL of a function that returns a vec4 of f32, or one where `per` is 1, as `dtype`. As f16, numbers beyond its range
 * become its largest; NaN and infinity stay, so that a check finds them. They are told by bits, as in finite.wgsl.
 */
export function narrowLines(dtype: string, per: 1 | 4 = 4, name: string = "narrow"): string {
  const { type } = vectorsOf(per);
  const [V, U, Y] = [type("f32"), type("u32"), type(dtype)];
  if (dtype !== "f16") return `fn ${name}(v: ${V}) -> ${Y} { return v; }`;
  return `fn ${name}(v: ${V}) -> ${Y} {
  let finite = (bitcast<${U}>(v) & ${U}(0x7fffffffu)) < ${U}(0x7f800000u);
  return ${Y}(select(v, clamp(v, ${V}(-65504.0), ${V}(65504.0)), finite));
}`;
}

/** WGSL `to_f16(v)`: a vec4 of f32 as f16, for operands of tensor cores. */
export const TO_F16: string = narrowLines("f16", 4, "to_f16");
