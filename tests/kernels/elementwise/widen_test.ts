import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { widen } from "../../../kernels/elementwise/widen.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";

Deno.test("widen() is exact for F16 and BF16, odd counts included", async () => {
  const next = random(5);
  for (const count of [1, 2, 7, 129, 1000]) {
    const halves = Float16Array.from(values(next, count + count % 2, "f16"));
    const single = Float32Array.from(values(next, count + count % 2));
    // bf16 is the upper half of an f32
    const upper = new Uint16Array(new Uint32Array(single.buffer).map((bits) => bits >>> 16));
    for (
      const [from, words, expected] of [
        ["F16", new Uint32Array(halves.buffer), Float32Array.from(halves)],
        [
          "BF16",
          new Uint32Array(upper.buffer),
          new Float32Array(Uint32Array.from(upper, (bits) => bits << 16).buffer),
        ],
      ] as const
    ) {
      const y = poisoned("f32", [count]);
      widen(device, { x: upload("u32", [words.length], words), y, from });
      assertEquals(await device.read(y), expected.slice(0, count), `${from} ${count}`);
    }
  }
});

Deno.test("widen() writes nothing beyond a view that ends within a vec4", async () => {
  const y = poisoned("f32", [16]);
  for (const count of [5, 3]) {
    widen(device, { x: upload("u32", [4], [0, 0, 0, 0]), y: y.rows(0, count), from: "BF16" });
    const zeros = new Array<number>(5).fill(0);
    assertEquals([...await device.read(y)], [...zeros, ...new Array<number>(11).fill(NaN)]);
  }
});

Deno.test("widen() refuses x if it holds fewer elements than y", () => {
  const x = upload("u32", [2], [0, 0]);
  assertThrows(
    () => widen(device, { x, y: poisoned("f32", [5]), from: "F16" }),
    KernelError,
    "Cannot widen 4 to 5 elements",
  );
});
