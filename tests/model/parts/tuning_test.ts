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
import { device } from "../../harness.ts";

Deno.test("tuningFile() names the adapter, the implementation and its lanes", () => {
  const of = (env: Record<string, string>) => tuningFile(device, (name) => env[name]);
  const path = of({ HOME: "/h" })!;
  assertEquals(path.startsWith(join("/h", ".cache", "bitwise", "tuning")), true);
  assertEquals(of({ HOME: "/h", XDG_CACHE_HOME: "/x" })!.startsWith(join("/x", "bitwise")), true);
  assertEquals(path.includes(device.capabilities.implementation), true);
  assertEquals(of({}), null);
});

Deno.test("saveTuning() saves what savedTuning() finds", async () => {
  const before = Deno.env.get("XDG_CACHE_HOME");
  const folder = await Deno.makeTempDir();
  try {
    Deno.env.set("XDG_CACHE_HOME", folder);
    assertEquals(await savedTuning(device), {});
    const tuning = { "matmul_texture rows": [[0, "8"], [1000, "32"]] as [number, string][] };
    const path = await saveTuning(device, tuning);
    assertEquals(path.startsWith(folder), true);
    assertEquals(await savedTuning(device), tuning);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
});

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

Deno.test("provenTuning() proves nothing where there are no tensor cores, or where a tuning says what to take", async () => {
  const before = Deno.env.get("XDG_CACHE_HOME");
  const folder = await Deno.makeTempDir();
  try {
    Deno.env.set("XDG_CACHE_HOME", folder);
    using without = await Device.open({ class: "cpu" });
    assertEquals(await provenTuning(without, undefined, [64]), {});
    const tuning = { "attention matrix": [[0, "two-pass"]] as [number, string][] };
    using on = await Device.open({ class: "gpu" });
    await saveTuning(on, tuning);
    assertEquals(await provenTuning(on, undefined, [64]), tuning);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
});
