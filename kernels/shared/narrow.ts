import { vectorsOf } from "./vectors.ts";

/**
 * What numbers beyond the range of f16 become: its `largest`, so that an image is still one, or `infinity`, so that a
 * training hears of gradients that are too large.
 */
export type Overflow = "largest" | "infinity";

/**
 * WGSL of a function that returns a vec4 of f32, or one where `per` is 1, as `dtype`. NaN and infinity stay, so that a
 * check finds them. They are told by bits, as in finite.wgsl.
 */
export function narrowLines(
  dtype: string,
  per: 1 | 4 = 4,
  name: string = "narrow",
  overflow: Overflow = "largest",
): string {
  const { type } = vectorsOf(per);
  const [V, U, Y] = [type("f32"), type("u32"), type(dtype)];
  if (dtype !== "f16") return `fn ${name}(v: ${V}) -> ${Y} { return v; }`;
  if (overflow === "infinity") {
    // a product, since no constant may be infinite
    return `fn ${name}(v: ${V}) -> ${Y} {
  let large = (bitcast<${U}>(v) & ${U}(0x7fffffffu)) > ${U}(0x477fe000u);
  return ${Y}(select(v, v * ${V}(3.4e38), large));
}`;
  }
  return `fn ${name}(v: ${V}) -> ${Y} {
  let finite = (bitcast<${U}>(v) & ${U}(0x7fffffffu)) < ${U}(0x7f800000u);
  return ${Y}(select(v, clamp(v, ${V}(-65504.0), ${V}(65504.0)), finite));
}`;
}

/** The same for gradients: what is too large becomes infinite. */
export function gradientLines(dtype: string, per: 1 | 4 = 4, name?: string): string {
  return narrowLines(dtype, per, name, "infinity");
}

/** WGSL `to_f16(v)`: a vec4 of f32 as f16, for operands of tensor cores. */
export const toF16 = (overflow: Overflow): string => narrowLines("f16", 4, "to_f16", overflow);
