import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { inspect } from "../../commands/inspect.ts";
import { encodePng } from "../../model/image/png.ts";
import { makePng } from "../model/image/png/png_files.ts";
import { fakeIo, inFolder, MODEL, refuses } from "./process.ts";

Deno.test("inspect() shows a model folder: configuration, parameters, every tensor", async () => {
  const io = fakeIo();
  assertEquals(await inspect([MODEL], io), 0);
  assertStringIncludes(io.text(), "Model       emoji-nano\n");
  assertStringIncludes(io.text(), "Schedule    1x1 2x2 3x3 4x4\n");
  assertStringIncludes(io.text(), "Parameters  10.08 M (10,076,339)\n");
  assertMatch(io.text(), /\n {2}shared\.weight +F16 +\[3144, 256\]\n/);
  assertMatch(io.text(), /\n {2}block_chunks\.1\.module\.1\.ada_gss +F32 +\[1, 1, 6, 256\]\n/);
});

Deno.test("inspect() refuses flags of a sheet without one", async () => {
  const flags = [["-m", MODEL], ["--gpu", "wgpu"], ["--overwrite"]];
  for (const flag of flags) {
    const line = `Cannot use --${flag[0] === "-m" ? "model" : flag[0]!.slice(2)} without --sheet`;
    await refuses(["inspect", MODEL, ...flag], 2, line);
  }
});

Deno.test("inspect() prints one JSON object", async () => {
  const io = fakeIo();
  assertEquals(await inspect([join(MODEL, "transformer.safetensors"), "--json"], io), 0);
  const { parameters, dtypes, tensors } = JSON.parse(io.text());
  assertEquals([parameters, tensors.length, dtypes.F16.tensors], [5_117_008, 106, 38]);
});

Deno.test("inspect() reports what is missing in a model folder", () =>
  inFolder(async (folder) => {
    for (const name of ["config.json", "transformer.safetensors"]) {
      await Deno.copyFile(join(MODEL, name), join(folder, name));
    }
    const io = fakeIo();
    assertEquals(await inspect([folder], io), 0);
    assertMatch(
      io.text(),
      /Missing +vae\.safetensors, text_encoder\/model\.safetensors, tokenizer/,
    );
  }));

Deno.test("inspect() shows how an image was made", () =>
  inFolder(async (folder) => {
    const file = join(folder, "x.png");
    await Deno.writeFile(file, encodePng(new Uint8Array(8), 2, 1, { parameters: "a cat" }));
    const io = fakeIo();
    assertEquals(await inspect([file], io), 0);
    assertEquals(io.text(), `${file}: 2x1, 8-bit RGBA\nparameters:\na cat\n`);
  }));

Deno.test("inspect() shows how a PNG is stored, under any name", () =>
  inFolder(async (folder) => {
    const { png, jpeg } = { png: join(folder, "a.bin"), jpeg: join(folder, "b.png") };
    const file = makePng({ width: 3, height: 2, type: 0, depth: 16, interlaced: true });
    await Deno.writeFile(png, file);
    const io = fakeIo();
    assertEquals(await inspect([png], io), 0);
    const warning = "it has 16 bits per channel; 8 are used";
    assertEquals(io.text(), `${png}: 3x2, 16-bit grey, interlaced\nWarning: ${warning}\n`);
    const json = fakeIo();
    assertEquals(await inspect([png, "--json"], json), 0);
    const form = { width: 3, height: 2, depth: 16, colour: "grey", interlaced: true };
    const report = { ...form, orientation: 1, warnings: [warning], text: {} };
    assertEquals(JSON.parse(json.text()), report);

    await Deno.writeFile(jpeg, Uint8Array.of(0xff, 0xd8, 0xff, 0xe0));
    const other = fakeIo();
    assertEquals(await main(["inspect", jpeg], other), 1);
    assertMatch(other.errors(), /b\.png": it is not a PNG, but a JPEG image/);
  }));

Deno.test("inspect() refuses a PNG whose pixels are incomplete", () =>
  inFolder(async (folder) => {
    const file = join(folder, "half.png");
    const stored = (lines: Uint8Array) => lines.subarray(0, lines.length / 2);
    await Deno.writeFile(file, makePng({ width: 16, height: 16, stored }));
    const io = fakeIo();
    assertEquals(await main(["inspect", file], io), 1);
    assertEquals(io.text(), "");
    assertMatch(io.errors(), /half\.png": its pixel data end 392 bytes early; copy/);
  }));

Deno.test("inspect() refuses with one line", async () => {
  const fails = async (args: string[], code: number, message: string) => {
    const io = fakeIo();
    assertEquals(await main(["inspect", ...args], io), code);
    assertEquals([io.text(), io.errors()], ["", `error: ${message}\n`]);
  };
  await fails([], 2, "Cannot inspect: give one safetensors file, PNG or model folder");
  await fails(
    ["README.md"],
    1,
    'Cannot read "README.md": it is not a safetensors file, which begins with a size and a {',
  );
  await fails(["/nope"], 1, 'Cannot read "/nope": no such file; check the path');
});
