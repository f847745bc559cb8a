import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { basename, join } from "@std/path";
import { namer } from "../../../commands/io/naming.ts";
import { checkWritable, Output } from "../../../commands/io/output.ts";
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

Deno.test("namer() numbers several images so that they sort, and steps over files", () => {
  const names = (count: number, name: string, begin?: number) =>
    Array.from({ length: 3 }, (_, i) => namer(name, count, begin)(i));
  assertEquals(names(1, "a/cat.png"), ["a/cat.png", "a/cat-2.png", "a/cat-3.png"]);
  assertEquals(names(2, "a/cat.v2.PNG"), ["a/cat.v2-1.PNG", "a/cat.v2-2.PNG", "a/cat.v2-3.PNG"]);
  assertEquals(names(11, "b"), ["b-01", "b-02", "b-03"]);
  assertEquals(names(2, "b.png", 99), ["b-099.png", "b-100.png", "b-101.png"]);
  assertEquals(names(1, "b.png", 5), ["b-5.png", "b-6.png", "b-7.png"]);
  assertEquals(names(4, "x-%03d.png"), ["x-000.png", "x-001.png", "x-002.png"]);
  assertEquals(names(4, "%d-x.png", 7), ["7-x.png", "8-x.png", "9-x.png"]);
});

/** Chooses names and writes a byte of its own to each: where they went, and what was said. */
async function writeAll(name: string, count: number, overwrite = false, begin?: number) {
  const io = fakeIo();
  const output = new Output(io, { overwrite });
  const targets = await output.choose(name, { count, begin });
  const paths: string[] = [];
  for (const target of targets) paths.push(await output.write(target, Uint8Array.of(count)));
  return { paths, said: io.errors() };
}

Deno.test("Output takes the next free numbers, and says so", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    assertEquals(await writeAll(at("x.png"), 1), { paths: [at("x.png")], said: "" });
    const second = await writeAll(at("x.png"), 1);
    assertEquals(second.paths, [at("x-2.png")]);
    assertEquals(
      second.said,
      `${at("x.png")} exists: writing ${at("x-2.png")} instead (--overwrite replaces)\n`,
    );
    const batch = await writeAll(at("x.png"), 3);
    assertEquals(batch.paths, ["x-3.png", "x-4.png", "x-5.png"].map(at));
    assertStringIncludes(batch.said, `writing ${at("x-3.png")} to ${at("x-5.png")} instead`);
    assertEquals(await Deno.readFile(at("x.png")), Uint8Array.of(1));
    assertEquals(await writeAll(at("x.png"), 2, true), {
      paths: [at("x-1.png"), at("x-2.png")],
      said: "",
    });
    assertEquals(await Deno.readFile(at("x-2.png")), Uint8Array.of(2));
    assertEquals((await writeAll(at("p-%02d.png"), 2, false, 8)).paths.map((p) => basename(p)), [
      "p-08.png",
      "p-09.png",
    ]);
  }));

Deno.test("Output steps aside for a file that another program makes meanwhile", () =>
  inFolder(async (folder) => {
    const io = fakeIo();
    const output = new Output(io, {});
    const target = await output.chooseOne(join(folder, "x.png"));
    await Deno.writeTextFile(join(folder, "x.png"), "theirs");
    assertEquals(await output.write(target, Uint8Array.of(1)), join(folder, "x-2.png"));
    assertEquals(await Deno.readTextFile(join(folder, "x.png")), "theirs");
    assertEquals(filesIn(folder), ["x-2.png", "x.png"]);
  }));

Deno.test("Output keeps the mode of a file that it replaces, and follows links to the end", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.writeTextFile(at("x.png"), "old", { mode: 0o600 });
    await Deno.symlink("x.png", at("link.png"));
    await Deno.symlink("new.png", at("dangling.png"));
    await writeAll(at("link.png"), 1, true);
    await writeAll(at("dangling.png"), 1);
    const { mode, size } = await Deno.stat(at("x.png"));
    assertEquals([mode! & 0o777, size], [0o600, 1]);
    assert((await Deno.lstat(at("link.png"))).isSymlink);
    assert((await Deno.lstat(at("dangling.png"))).isSymlink);
    assert((await Deno.lstat(at("new.png"))).isFile);
  }));

Deno.test("Output writes into devices, FIFOs and links to stdout without replacing them", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    assertEquals((await writeAll("/dev/null", 2)).paths, ["/dev/null", "/dev/null"]);
    assert((await Deno.stat("/dev/null")).isCharDevice);

    await new Deno.Command("mkfifo", { args: [at("fifo")] }).output();
    const reading = Deno.readFile(at("fifo"));
    await writeAll(at("fifo"), 1, true);
    assertEquals(await reading, Uint8Array.of(1));
    assert((await Deno.stat(at("fifo"))).isFifo);

    await Deno.symlink("/proc/self/fd/1", at("stdout"));
    await Deno.symlink("stdout", at("again"));
    const io = fakeIo();
    const output = new Output(io, {});
    const target = await output.chooseOne(at("again"));
    await output.write(target, Uint8Array.of(7));
    output.print("not among the bytes");
    assertEquals([io.bytes(), io.text()], [Uint8Array.of(7), ""]);
    assert((await Deno.lstat(at("stdout"))).isSymlink);
  }));

Deno.test("Output refuses what cannot be, in one line", () =>
  inFolder(async (folder) => {
    const output = new Output(fakeIo(), {});
    const refuses = (name: string, message: string, count = 1, of = output) =>
      assertRejects(() => of.choose(name, { count }), Error, message);
    await refuses("cat.jpg", "images are PNG files, use a name in .png");
    await refuses("-", "Cannot write 2 images to stdout: name a file", 2);
    await refuses(folder, "it is not a file");
    await output.choose("-");
    await refuses("-", "Cannot write two files to stdout");
    await refuses("-", "--json with -o -", 1, new Output(fakeIo(), { json: true }));
    const terminal = { ...fakeIo(), outIsTerminal: true };
    await refuses("-", "a terminal: redirect it", 1, new Output(terminal, {}));
    await output.choose(join(folder, "x.png"));
    await refuses(join(folder, ".", "x.png"), "twice: give each file a name of its own");
    assertEquals(filesIn(folder), []);
  }));

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

Deno.test("ProgressLine shows a bar and the time left, within the terminal's width", () => {
  let now = 0;
  const io = { ...fakeIo(), errIsTerminal: true, columns: () => 60 };
  const progress = new ProgressLine(io, () => now);
  const shown = (text: string, part: number) => {
    const before = io.errors().length;
    progress.show(text, part);
    return io.errors().slice(before).replace("\r\x1b[K", "");
  };
  assertEquals(shown("Scale 1/4", 0), "[>                       ]   0 % | Scale 1/4");
  now = 10_000;
  assertEquals(shown("Scale 2/4", 0.25), "[======>                 ]  25 %, 30 s left | Scale 2/4");
  assertEquals(shown("x".repeat(99), 0.25).length, 59);
  assertEquals(shown("Another file", 0), "[>                       ]   0 % | Another file");
  now = 12_000;
  assertEquals(shown("Another", 0.5), "[============>           ]  50 %, 2 s left | Another");
  assertEquals(shown("Done", 1), `[${"=".repeat(24)}] 100 % | Done`);
});

Deno.test("ProgressLine is silent with -q", () => {
  const io = { ...fakeIo(), errIsTerminal: true };
  io.style.quiet = true;
  using progress = new ProgressLine(io);
  progress.show("one", 0.5);
  assertEquals(io.errors(), "");
});
