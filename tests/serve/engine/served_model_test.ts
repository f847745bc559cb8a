import "../../backend.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { encodeLora } from "../../../model/checkpoint/lora_file.ts";
import { ServedModel } from "../../../serve/engine/served_model.ts";
import { nanoLora } from "../../model/checkpoint/lora_files.ts";
import { NANO } from "../../nano.ts";

Deno.test("a batch that is cancelled ends before the next scale", async () => {
  const model = await ServedModel.open({ model: NANO.href });
  try {
    for (const preview of [false, true]) {
      const stop = new AbortController();
      const seen: number[] = [];
      const batch = { jobs: [{ prompt: "x", seed: "1" }], settings: {}, previews: [preview] };
      const make = model.make(
        batch,
        ({ scale }) => seen.push(scale),
        stop.signal,
        () => seen.length === 2 && stop.abort(),
      );
      await assertRejects(() => make, DOMException);
      assertEquals(seen, [0, 1]);
    }
  } finally {
    model.dispose();
  }
});

Deno.test("a card tells a model with adapters from one without, by their strengths", async () => {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  await Deno.writeFile(path, encodeLora(await nanoLora()));
  const digests: string[] = [];
  for (const lora of [[], [{ path, strength: 0 }], [{ path }], [{ path, strength: 0.5 }]]) {
    const model = await ServedModel.open({ model: NANO.href, lora });
    digests.push((await model.card()).digest);
    model.dispose();
  }
  const [bare, none, whole, half] = digests;
  assertEquals([none, new Set(digests).size], [bare, 3]);
  for (const added of [whole, half]) assertEquals(added!.startsWith(`${bare}+`), true);
  await Deno.remove(path);
});

Deno.test("fits() bounds a batch by the memory that is given", async () => {
  const model = await ServedModel.open({ model: NANO.href });
  const small = await ServedModel.open({ model: NANO.href, maxBytes: 30e6 });
  try {
    assertEquals(await model.fits({}, 8), 8);
    const few = await small.fits({}, 1000);
    assertEquals(few >= 1 && few < 16, true, `${few}`);
  } finally {
    model.dispose();
    small.dispose();
  }
});
