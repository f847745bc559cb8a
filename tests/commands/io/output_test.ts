import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { UsageError } from "../../../commands/flags/flags.ts";
import { checkWritable, outputPaths } from "../../../commands/io/output.ts";
import { ProgressLine } from "../../../commands/io/progress.ts";
import { contactSheet } from "../../../commands/io/sheet.ts";
import {
  checkScales,
  readBits,
  readFeatures,
  readUniforms,
} from "../../../commands/io/tensor_files.ts";
import {
  encodeSafetensors,
  FileError,
  InputError,
  SafetensorsError,
  type TensorToWrite,
} from "../../../engine/mod.ts";
import { fakeIo, filesIn, inFolder } from "../process.ts";

Deno.test("outputPaths() numbers several images", () => {
  assertEquals(outputPaths("a/cat.png", 1), ["a/cat.png"]);
  assertEquals(outputPaths("a/cat.v2.PNG", 2), ["a/cat.v2-1.PNG", "a/cat.v2-2.PNG"]);
  assertEquals(outputPaths("cat", 2), ["cat-1", "cat-2"]);
  assertThrows(() => outputPaths("cat.jpg", 1), UsageError, "images are PNG files");
});

Deno.test("checkWritable() writes nothing, and keeps what is there", () =>
  inFolder(async (folder) => {
    const file = join(folder, "a.png");
    await checkWritable(file);
    assertEquals(filesIn(folder), []);
    await Deno.writeTextFile(file, "old");
    await checkWritable(file);
    assertEquals(await Deno.readTextFile(file), "old");
    await assertRejects(() => checkWritable(folder), FileError, "it is not a file");
    await assertRejects(() => checkWritable(join(file, "b")), FileError, "does not exist");
    assertEquals(filesIn(folder), ["a.png"]);
  }));

Deno.test("contactSheet() enlarges small images and fills rows", () => {
  const dot = (value: number) => ({
    width: 64,
    height: 64,
    rgba: new Uint8Array(16384).fill(value),
  });
  const sheet = contactSheet([dot(1), dot(2), dot(3)], 2);
  assertEquals([sheet.width, sheet.height], [2 * 128 + 24, 2 * 128 + 24]);
  const at = (x: number, y: number) => sheet.rgba[4 * (y * sheet.width + x)];
  assertEquals([at(7, 8), at(8, 8), at(135, 135), at(136, 8), at(144, 8)], [255, 1, 1, 255, 2]);
  assertEquals([at(8, 144), at(144, 144)], [3, 255]);
  const large = { width: 96, height: 96, rgba: new Uint8Array(96 * 96 * 4) };
  assertEquals(contactSheet([large], 1).width, 96 + 16); // twice as large would be past 128
});

Deno.test("readFeatures(), readUniforms() and readBits() read what --trace and others write", () =>
  inFolder(async (folder) => {
    const file = join(folder, "x.safetensors");
    const write = (...tensors: TensorToWrite[]) => Deno.writeFile(file, encodeSafetensors(tensors));
    const f32 = (name: string, shape: number[], value = 0.5): TensorToWrite => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
      return { name, dtype: "F32", shape, data };
    };
    const lens = (...values: number[]): TensorToWrite => ({
      name: "lens",
      dtype: "I32",
      shape: [values.length],
      data: new Int32Array(values),
    });

    await write(f32("features", [5, 2]));
    const features = new Float32Array(10).fill(0.5);
    assertEquals(await readFeatures(file), { features, width: 2, lens: [5] });
    await write(f32("features", [5, 2]), lens(2, 3));
    assertEquals((await readFeatures(file)).lens, [2, 3]);
    await write(f32("features", [5, 2]), lens(2, 2));
    await assertRejects(() => readFeatures(file), InputError, "lens is [2, 2], but features has 5");
    await write(f32("features", [1, 5, 2]));
    await assertRejects(() => readFeatures(file), InputError, "not [rows, channels]");
    await write(f32("x", [1]));
    await assertRejects(() => readFeatures(file), SafetensorsError, 'no tensor "features"');

    await write(f32("scale2.uniforms", [1, 1, 2, 2]), f32("scale0.bits", [1, 1, 1, 1], 1));
    const uniforms = await readUniforms(file);
    assertEquals(uniforms.values, [undefined, undefined, new Float32Array(4).fill(0.5)]);
    const bits = await readBits(file);
    assertEquals(bits, { path: file, values: [new Uint8Array([1])], shapes: [[1, 1, 1, 1]] });
    checkScales(uniforms, [[1, 1], [2, 2], [1, 2]], 1, 2);
    checkScales(uniforms, [[1, 1]], 1, 2);
    for (const schedule of [[[1, 1], [2, 2], [2, 1]], [[1, 1], [2, 2], [2, 2]]] as const) {
      assertThrows(
        () => checkScales(uniforms, schedule, 1, 2),
        InputError,
        `scale 2 is [1, 1, 2, 2], not [1, ${schedule[2].join(", ")}, 2]`,
      );
    }
    await write(f32("scale0.bits", [1, 1, 1, 1], 2), f32("scale0.uniforms", [4]));
    await assertRejects(() => readBits(file), InputError, "holds 2, bits are 0 or 1");
    await assertRejects(() => readUniforms(file), InputError, "not [batch, height, width, bits]");
    await write(f32("scale0.uniforms", [1, 1, 1, 1], NaN));
    await assertRejects(
      () => readUniforms(file),
      InputError,
      "holds NaN, uniforms are from 0 to 1",
    );
    await assertRejects(() => readBits(file), InputError, "it has no scale0.bits");
  }));

Deno.test("ProgressLine rewrites one line on a terminal, and writes plain lines elsewhere", () => {
  for (
    const [errIsTerminal, expected] of [
      [true, "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"],
      [false, "one\ntwo\n"],
    ] as const
  ) {
    const io = { ...fakeIo(), errIsTerminal };
    const progress = new ProgressLine(io);
    progress.show("one");
    progress.show("two");
    for (let i = 0; i < 2; i++) progress[Symbol.dispose]();
    assertEquals([io.errors(), io.text()], [expected, ""]);
  }
});
