import { assertEquals } from "@std/assert";
import { orientationOf } from "../../../../model/image/base/exif.ts";
import { exif } from "../metadata.ts";

Deno.test("orientationOf() reads both byte orders, with and without the prefix of a JPEG", () => {
  for (const order of ["II", "MM"] as const) {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const bytes = exif(orientation, order);
      assertEquals(orientationOf(bytes), orientation);
      const prefixed = new Uint8Array([...new TextEncoder().encode("Exif\0\0"), ...bytes]);
      assertEquals(orientationOf(prefixed), orientation);
    }
  }
});

Deno.test("orientationOf() takes what is missing, damaged or out of range as upright", () => {
  const bytes = exif(6, "MM");
  assertEquals(orientationOf(exif(0, "II")), 1);
  assertEquals(orientationOf(exif(9, "II")), 1);
  for (let length = 0; length < 20; length++) {
    assertEquals(orientationOf(bytes.slice(0, length)), 1);
  }
  const far = bytes.slice();
  far.fill(0xff, 4, 8); // the directory lies beyond the end
  assertEquals(orientationOf(far), 1);
  const long = bytes.slice();
  long[13] = 4; // another type
  assertEquals(orientationOf(long), 1);
});
