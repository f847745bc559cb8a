import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import {
  checkScales,
  readBits,
  readFeatures,
  readUniforms,
} from "../../../commands/io/tensor_files.ts";
import {
  encodeSafetensors,
  InputError,
  SafetensorsError,
  type TensorToWrite,
} from "../../../engine/mod.ts";
import { inFolder } from "../process.ts";

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
