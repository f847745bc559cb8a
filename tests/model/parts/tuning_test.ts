import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { Device, InputError } from "../../../engine/mod.ts";
import { variantOf } from "../../../kernels/shared/variants.ts";
import {
  parseTuning,
  provenTuning,
  savedTuning,
  saveTuning,
  tuningFile,
} from "../../../model/parts/tuning.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { device } from "../../harness.ts";

Deno.test("tuningFile() names the adapter, the implementation and its lanes", () => {
  const of = (env: Record<string, string>) => tuningFile(device, (name) => env[name]);
  const path = of({ HOME: "/h" })!;
  assertEquals(path.startsWith(join("/h", ".cache", "bitwise", "tuning")), true);
  assertEquals(of({ HOME: "/h", XDG_CACHE_HOME: "/x" })!.startsWith(join("/x", "bitwise")), true);
  assertEquals(path.includes(device.capabilities.implementation), true);
  assertEquals(of({}), null);
});

/** Lets tunings be saved in a new folder while `run` runs. */
async function inCache(run: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.env.get("XDG_CACHE_HOME");
  const folder = await Deno.makeTempDir();
  try {
    Deno.env.set("XDG_CACHE_HOME", folder);
    await run(folder);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("saveTuning() saves what savedTuning() finds", () =>
  inCache(async (folder) => {
    assertEquals(await savedTuning(device), {});
    const tuning = { "matmul_texture rows": [[0, "8"], [1000, "32"]] as [number, string][] };
    const path = await saveTuning(device, tuning);
    assertEquals(path.startsWith(folder), true);
    assertEquals(await savedTuning(device), tuning);
  }));

Deno.test("savedTuning() names a file that is not a tuning, and goes without it", () =>
  inCache(async () => {
    const path = await saveTuning(device, {});
    const texts: [text: string, warning: string | null][] = [
      ['{"constructor":1}', null], // no choice of this version
      ['{"toString":[],"__proto__":{"matmul":[[0,"tiles"]]}}', null],
      ['{"attention":{"length":0}}', '"attention" must be a list of pairs'],
      ['{"attention":[["0","tiles"]]}', '"attention" must be a list of pairs'],
      ["[[]]", "it is not an object"],
      ["", "it is not JSON"],
      ["\xff\u0000", "it is not JSON"],
      [`{"x":"${"y".repeat(1e5)}"}`, "it has 100 kB, a tuning at most 66 kB"],
    ];
    for (const [text, warning] of texts) {
      await Deno.writeTextFile(path, text);
      const warnings: string[] = [];
      assertEquals(await savedTuning(device, (line) => warnings.push(line)), {}, text);
      const expected = warning === null
        ? []
        : [`Measured tuning ignored: Cannot use ${JSON.stringify(path)}: ${warning}`];
      assertEquals(warnings.map((line, i) => line.slice(0, expected[i]?.length)), expected);
    }
    await Deno.remove(path);
    await Deno.mkdir(path);
    const warnings: string[] = [];
    assertEquals(await savedTuning(device, (line) => warnings.push(line)), {});
    assertEquals(warnings.length, 1);
  }));

Deno.test("load() ignores a file that is not a tuning, and the first result has the warning", () =>
  inCache(async () => {
    const path = await saveTuning(device, {});
    await Deno.writeTextFile(path, '{"attention":1}');
    using model = await InfinityModel.load();
    const warned = [];
    for (let i = 0; i < 2; i++) warned.push((await model.generate("red apple")).warnings);
    assertEquals(warned.map(({ length }) => length), [1, 0]);
    assertEquals(warned[0]![0]!.includes(path), true, warned[0]![0]);
  }));

Deno.test("parseTuning() ignores choices of other versions and refuses what is not a tuning", () => {
  assertEquals(parseTuning('{"of old": [[0, "x"]], "matmul_texture rows": [[0, "16"]]}', "f"), {
    "matmul_texture rows": [[0, "16"]],
  });
  for (
    const text of [
      "no",
      "[]",
      "null",
      '{"matmul_texture rows": 8}',
      '{"matmul_texture rows": [[0, "9"]]}',
      '{"matmul_texture rows": [["0", "8"]]}',
    ]
  ) {
    const error = assertThrows(() => parseTuning(text, "f.json"), InputError);
    assertEquals([error.code, error.hint], ["bad-tuning", "tune-again"]);
    assertEquals(error.message.startsWith('Cannot use "f.json": '), true);
  }
});

Deno.test("variantOf() takes the last step that a size reaches, of the adapter's own first", () => {
  const before = device.tuning;
  try {
    device.tuning = { "matmul_texture rows": [[0, "8"], [100, "32"]] };
    const of = (size: number) => variantOf(device, "matmul_texture rows", size);
    assertEquals([of(0), of(99), of(100), of(1e12)], ["8", "8", "32", "32"]);
    device.tuning = { "matmul_texture rows": [[50, "32"]] };
    assertEquals(of(0), "8"); // below all steps the first variant of all
  } finally {
    device.tuning = before;
  }
});

Deno.test("provenTuning() proves nothing where there are no tensor cores, or where a tuning says what to take", () =>
  inCache(async () => {
    using without = await Device.open({ class: "cpu" });
    const proven = (on: Device) =>
      provenTuning(on, undefined, [64], ["attention matrix", "attention backward"]);
    assertEquals(await proven(without), {});
    const tuning = {
      "attention matrix": [[0, "two-pass"]] as [number, string][],
      "attention backward": [[0, "tiles"]] as [number, string][],
    };
    using on = await Device.open({ class: "gpu" });
    await saveTuning(on, tuning);
    assertEquals(await proven(on), tuning);
  }));
