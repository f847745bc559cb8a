import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { convert } from "../../commands/convert.ts";
import { CheckpointError, encodeSafetensors } from "../../engine/mod.ts";
import { fileSource, openTensorFile } from "../../model/checkpoint/files.ts";
import { convertFile } from "../../model/release/convert.ts";
import { openTorchCheckpoint } from "../../model/release/torch/torch_checkpoint.ts";
import { ended, fakeIo, filesIn, inFolder, refuses, start } from "./process.ts";
import {
  entriesOf,
  legacyPth,
  type Pieces,
  pth,
  py,
  storage,
  tensor,
  zipPieces,
} from "../model/release/torch/torch_files.ts";

const s = storage("0", "Float", Float32Array.from({ length: 12 }, (_, i) => i / 3));
const steps = storage("1", "Long", new BigInt64Array([7n]));
const wide = storage("2", "Double", new Float64Array([1 + 2 ** -20, -3]));
const brain = storage("3", "BFloat16", new Uint16Array([0x3f80, 0xc000]));
const model = py.ordered({
  "word_embed.weight": tensor(s, [4, 3], { strides: [1, 4] }),
  "word_embed.bias": tensor(s, [3]),
  cfg_uncond: tensor(s, [2, 2], { offset: 4 }),
  lvl_1L: tensor(steps, [1]),
  step: tensor(steps, [1]),
  wide: tensor(wide, [1, 2]),
  brain: tensor(brain, [2, 1]),
});
const training = py.dict({
  trainer: py.dict({ gpt_fsdp: model, gpt_fsdp_opt: py.dict({ m: tensor(s, [12]) }) }),
  epoch: py.int(3),
});
const storages = [s, steps, wide, brain];

/** Converts in a folder, and reads the result. */
async function converted(bytes: Uint8Array, ...flags: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    const [from, to] = [join(folder, "x.pth"), join(folder, "y.safetensors")];
    await Deno.writeFile(from, bytes);
    const io = fakeIo();
    assertEquals(await convert([from, "-o", to, ...flags], io), 0);
    assertEquals(filesIn(folder), ["x.pth", "y.safetensors"]);
    const file = await openTensorFile(to);
    const tensors: Record<string, [string, string, number[]]> = {};
    for (const { name, dtype, shape } of file.tensors.values()) {
      tensors[name] = [dtype, shape.join("x"), [...await file.readFloat32(name)]];
    }
    file.close();
    const { size } = await Deno.stat(to);
    return { tensors, size, out: io.text().replace(to, "y"), err: io.errors() };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const values = (...indices: number[]) => indices.map((i) => Math.fround(i / 3));
const transposed = values(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);

Deno.test("convert() finds the model, and keeps types", async () => {
  for (const write of [pth, legacyPth]) {
    const { tensors, size, out, err } = await converted(write(training, storages));
    assertEquals(tensors, {
      "step": ["I64", "1", [7]],
      "wide": ["F64", "1x2", [Math.fround(1 + 2 ** -20), -3]],
      "word_embed.weight": ["F32", "4x3", transposed],
      "word_embed.bias": ["F32", "3", values(0, 1, 2)],
      "cfg_uncond": ["F32", "2x2", values(4, 5, 6, 7)],
      "brain": ["BF16", "2x1", [1, -2]],
    });
    assertEquals(
      out,
      `y: transformer, 6 tensors, 24 parameters, ${size} B, from "trainer.gpt_fsdp", ` +
        "2 other tensors left out\n",
    );
    assertStringIncludes(err, 'Converting 1/6: "step"\n');
    assertStringIncludes(err, 'Converting 6/6: "brain"\n');
  }
});

Deno.test("convert() --type f16 stores matrices in f16, and vectors in f32", async () => {
  const { tensors } = await converted(pth(training, storages), "--type", "f16");
  const half = (list: number[]) => [...new Float16Array(list)];
  assertEquals(tensors, {
    "step": ["I64", "1", [7]],
    "wide": ["F32", "1x2", [Math.fround(1 + 2 ** -20), -3]],
    "word_embed.weight": ["F16", "4x3", half(transposed)],
    "word_embed.bias": ["F32", "3", values(0, 1, 2)],
    "cfg_uncond": ["F16", "2x2", half(values(4, 5, 6, 7))],
    "brain": ["F32", "2x1", [1, -2]],
  });
  const f32 = await converted(pth(training, storages), "--type", "f32");
  assertEquals(Object.values(f32.tensors).map(([dtype]) => dtype).sort(), [
    ..."F32 F32 F32 F32 F32 I64".split(" "),
  ]);
});

Deno.test("convert() --key takes another dict", async () => {
  const { tensors, size, out } = await converted(
    pth(training, storages),
    "--key",
    "trainer.gpt_fsdp_opt",
  );
  assertEquals(Object.keys(tensors), ["m"]);
  assertStringIncludes(out, `1 tensors, 12 parameters, ${size} B, from "trainer.gpt_fsdp_opt", 7`);
});

Deno.test("convert() reads safetensors, to change the type", async () => {
  const data = new Float32Array([1, 2, 3, 4]);
  const file = encodeSafetensors([{ name: "x", dtype: "F32", shape: [2, 2], data }]);
  const { tensors } = await converted(file, "--type", "f16");
  assertEquals(tensors, { x: ["F16", "2x2", [1, 2, 3, 4]] });
});

Deno.test("convertFile() refuses numbers that overflow, counts them, and keeps what was there", () =>
  inFolder(async (folder) => {
    const big = storage("0", "Float", new Float32Array([65519, 65520, -1e30, Infinity, NaN, 1]));
    const huge = storage("1", "Double", new Float64Array([1e300, 1]));
    const from = join(folder, "x.pth");
    const to = join(folder, "y.safetensors");
    await Deno.writeTextFile(to, "before");
    const value = py.dict({ a: tensor(big, [2, 3]), b: tensor(huge, [2, 1]) });
    await Deno.writeFile(from, pth(value, [big, huge]));
    const overflows = (type: "f16" | "f32", says: string) =>
      assertRejects(() => convertFile(from, to, { type }), CheckpointError, says);
    await overflows("f16", `3 numbers are too large for f16, the first one in tensor "b"; use`);
    await overflows("f32", `1 numbers are too large for f32, the first one in tensor "b"; use`);
    assertEquals(await Deno.readTextFile(to), "before");
    assertEquals(filesIn(folder), ["x.pth", "y.safetensors"]);
  }));

Deno.test("convertFile() stops at an abort, and leaves nothing", () =>
  inFolder(async (folder) => {
    const from = join(folder, "x.pth");
    await Deno.writeFile(from, pth(training, storages));
    const stop = new AbortController();
    const run = convertFile(from, join(folder, "y.safetensors"), {
      signal: stop.signal,
      onProgress: ({ done }) => done === 2 && stop.abort(),
    });
    await assertRejects(() => run, DOMException, "aborted");
    assertEquals(filesIn(folder), ["x.pth"]);
  }));

async function writeSparse(path: string, { pieces, size }: Pieces): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  await file.truncate(size);
  for (const { at, bytes } of pieces) {
    await file.seek(at, Deno.SeekMode.Start);
    await file.write(bytes);
  }
}

Deno.test("convertFile() reads only what it needs of a file of 17 GB", () =>
  inFolder(async (folder) => {
    const hole = (key: string) => ({ key, type: "Float", elements: 2 ** 31 });
    const big = [hole("0"), hole("1")];
    const last = { ...s, key: "2" };
    const value = py.dict({
      big: py.dict({ w: tensor(big[0]!, [2 ** 16, 2 ** 15]), v: tensor(big[1]!, [2 ** 31]) }),
      small: py.dict({ w: tensor(last, [12]) }),
    });
    const from = join(folder, "x.pth");
    const to = join(folder, "y.safetensors");
    await writeSparse(from, zipPieces(entriesOf(value, [...big, last])));

    const source = await fileSource(from);
    let read = 0;
    const file = await openTorchCheckpoint({
      ...source,
      read: (offset, length) => (read += length, source.read(offset, length)),
    });
    assert(source.size > 17e9);
    assertEquals((await file.readFloat32("small.w"))[3], 1);
    for await (const { bytes } of file.chunks("big.v", 1024)) {
      assertEquals(bytes, new Uint8Array(1024));
      break;
    }
    assert(read < 80_000, `${read} bytes`);
    file.close();

    const { tensors, left, bytes } = await convertFile(from, to, { key: "small" });
    assertEquals([tensors, left], [1, 2]);
    assertEquals((await Deno.stat(to)).size, bytes);
  }));

Deno.test("cli convert refuses in one line, and writes nothing", async () => {
  await refuses(["convert"], 2, "Cannot convert: give one checkpoint");
  const there = new URL(import.meta.url).pathname;
  await refuses(["convert", there], 2, "give the file to write with --output");
  await refuses(
    ["convert", there, "-o", "y.pth"],
    2,
    'Cannot write "y.pth": use a name that ends in .saf',
  );
  await refuses(
    ["convert", "x.pth", "-o", "y.safetensors"],
    1,
    'Cannot read "x.pth": it does not exist',
  );
  await refuses(["convert", "x.pth"], 1, 'Cannot read "x.pth": it does not exist');
  await refuses(["convert", "x.pth", "-o", "folder"], 1, 'Cannot read "x.pth": it does not exist');
  await refuses(["convert", there, "-o", "no/y.safetensors"], 1, 'folder "no" does not exist');
});

Deno.test("cli convert refuses a pickle that calls a function, without calling it", () =>
  inFolder(async (cwd) => {
    const touch = py.call("os", "system", py.text("touch pwned"));
    await Deno.writeFile(join(cwd, "x.pth"), pth(touch));
    const run = await ended(start(["convert", "x.pth", "-o", "y.safetensors"], { cwd }));
    assertEquals(run.said, [
      'error: Cannot read "x.pth": the Python name "os.system" at byte 2 is not allowed in a checkpoint',
    ]);
    assertEquals([run.code, run.out, filesIn(cwd)], [1, "", ["x.pth"]]);
  }));

Deno.test("main() lists convert", async () => {
  const io = fakeIo();
  assertEquals(await main(["convert", "--help"], io), 0);
  assertStringIncludes(io.text(), "Usage: bitwise convert [FLAGS] FILE");
});
