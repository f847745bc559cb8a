import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { basename, join } from "@std/path";
import { checkWritable, Output } from "../../../commands/io/output.ts";
import { FileError } from "../../../engine/mod.ts";
import { fakeIo, filesIn, inFolder } from "../process.ts";

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

Deno.test("Output numbers files for --output-begin-idx", () =>
  inFolder(async (folder) => {
    const numbers = async (name: string, begin?: number) =>
      (await new Output(fakeIo(), {}).choose(join(folder, name), { count: 2, begin }))
        .map(({ path, number }) => `${basename(path)} ${number}`);
    assertEquals(await numbers("x.png"), ["x-1.png 1", "x-2.png 2"]);
    assertEquals(await numbers("%d.png"), ["0.png 0", "1.png 1"]);
    // padded, so that they sort
    const eleven = await new Output(fakeIo(), {}).choose(join(folder, "b.png"), { count: 11 });
    const names = eleven.map(({ path }) => basename(path));
    assertEquals([names[0], names[10], names], ["b-01.png", "b-11.png", names.toSorted()]);
    await Deno.writeTextFile(join(folder, "x-8.png"), "");
    assertEquals(await numbers("x.png", 7), ["x-9.png 9", "x-10.png 10"]);
  }));

Deno.test("Output refuses to replace a folder, whichever name has it, before any work is done", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "x-2.png"));
    await assertRejects(
      () => writeAll(join(folder, "x.png"), 3, true),
      FileError,
      "x-2.png",
    );
    assertEquals(filesIn(folder), ["x-2.png"]);
  }));

Deno.test("Output takes another name if another program makes the file first", () =>
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

Deno.test("Output refuses impossible names in one line", () =>
  inFolder(async (folder) => {
    const output = new Output(fakeIo(), {});
    const refuses = (name: string, message: string, count = 1, of = output) =>
      assertRejects(() => of.choose(name, { count }), Error, message);
    await refuses("cat.jpg", "images are PNG files, use a name that ends in .png");
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
    // Windows calls it missing
    const why = Deno.build.os === "windows" ? "does not exist" : "is not a folder";
    await assertRejects(() => checkWritable(join(file, "b")), FileError, why);
    assertEquals(filesIn(folder), ["a.png"]);
  }));
