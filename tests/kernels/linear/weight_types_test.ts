import { assertEquals } from "@std/assert";
import {
  isQuantised,
  QUANTISED_TYPES,
  WEIGHT_FORMATS,
  WEIGHT_TYPES,
} from "../../../kernels/linear/weight_types.ts";
import { ELEMENT_BYTES, TEXEL_BYTES } from "../../../engine/mod.ts";

Deno.test("WEIGHT_FORMATS is ordered from the largest type to the smallest", () => {
  const bits = WEIGHT_TYPES.map((type) => {
    const { texel, rowsPerElement } = WEIGHT_FORMATS[type];
    return 8 * TEXEL_BYTES[texel] / 4 / rowsPerElement;
  });
  assertEquals(bits, bits.toSorted((a, b) => b - a));
});

Deno.test("WEIGHT_FORMATS holds integers that fit their bits, and whole rows in an element", () => {
  for (const type of QUANTISED_TYPES) {
    const { quantisation, rowsPerElement, dtype } = WEIGHT_FORMATS[type];
    const { bits, least, most, extreme, zero } = quantisation;
    const [first, last] = zero === 0
      ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
      : [0, 2 ** bits - 1];
    assertEquals(least + zero >= first && most + zero <= last, true, type);
    assertEquals(extreme === least || extreme === most, true, type);
    assertEquals(rowsPerElement, 8 * ELEMENT_BYTES[dtype] / 4 / bits, type);
  }
});

Deno.test("WEIGHT_FORMATS gives each quantised type a file dtype of its own", () => {
  const dtypes = QUANTISED_TYPES.map((type) => WEIGHT_FORMATS[type].quantisation.file);
  assertEquals(new Set(dtypes).size, dtypes.length);
});

Deno.test("isQuantised() tells integers in blocks from floats", () => {
  assertEquals(WEIGHT_TYPES.filter(isQuantised), ["q8_0", "q4_0"]);
});
