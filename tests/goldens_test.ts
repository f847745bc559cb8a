import { assert, assertEquals } from "@std/assert";
import { golden } from "./goldens.ts";

Deno.test("golden() reads every packed file, and together they are small", async () => {
  const folder = new URL("goldens/", import.meta.url);
  let total = 0;
  let tensors = 0;
  for await (const { name } of Deno.readDir(folder)) {
    total += (await Deno.stat(new URL(name, folder))).size;
    if (!name.endsWith(".pack")) continue;
    const { file, tensor, has } = await golden(name.replace(".pack", ""));
    for (const { name, shape, elements } of file.tensors.values()) {
      assert(has(name));
      assertEquals(tensor(name).shape, shape);
      const { data } = tensor<Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(name);
      assertEquals(data.length, elements);
      assert(data.every((value: number) => Number.isFinite(value)), name);
      tensors++;
    }
  }
  assert(tensors > 700, `${tensors} tensors`);
  // 24.3 MB are generation's, 3.4 MB the encoder's and the quantiser's, the rest is training's
  assert(total < 30.5e6, `${total} bytes`);
});
