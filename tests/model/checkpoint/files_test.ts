import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import {
  BitwiseError,
  encodeSafetensors,
  InputError,
  SafetensorsError,
  safetensorsHeader,
} from "../../../engine/mod.ts";
import {
  fileSource,
  isFolder,
  makeFolder,
  openTensorFile,
  readSmallFile,
  writeFileAtomic,
} from "../../../model/checkpoint/files.ts";
import { filesIn, inFolder } from "../../commands/process.ts";
import { MAY_MOUNT, MOUNTED, smallDisk } from "./small_disk.ts";

async function refuses(step: Promise<unknown>, code: string, message: string): Promise<void> {
  const error = await assertRejects(() => step, BitwiseError, message);
  assertEquals(error.code, code);
  assert(/^Cannot (read|write) "[^\n]*[^.\n]$/.test(error.message), error.message);
}

const one = (name: string, value: number) =>
  encodeSafetensors([{ name, dtype: "F32", shape: [1], data: new Float32Array([value]) }]);

Deno.test("fileSource() reads ranges, also concurrently", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    const data = crypto.getRandomValues(new Uint8Array(60_000));
    await Deno.writeFile(path, data);
    const source = await fileSource(path);
    assertEquals(source.size, data.length);
    assertEquals(source.name, path);
    const starts = Array.from({ length: 50 }, (_, i) => (i * 7919) % 50_000);
    const ranges = await Promise.all(starts.map((start) => source.read(start, 9000)));
    ranges.forEach((range, i) => assertEquals(range, data.slice(starts[i], starts[i] + 9000)));
    assertEquals((await source.read(60_000, 0)).length, 0);
    await assertRejects(() => source.read(59_999, 2), InputError, "not inside its 60000 bytes");
    source.close();
    source.close();
  }));

Deno.test("fileSource() refuses what it cannot open", () =>
  inFolder(async (folder) => {
    const missing = join(folder, "missing");
    await refuses(fileSource(missing), "file-not-found", "no such file; check the path");
    await refuses(fileSource(folder), "not-a-file", "it is not a file");
    await Deno.writeFile(missing, new Uint8Array());
    await refuses(fileSource(join(missing, "x")), "file-not-found", "no such file");
  }));

Deno.test("fileSource() refuses to read once closed, and recovers from a failed read", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    await Deno.writeFile(path, new Uint8Array([1, 2]));
    const source = await fileSource(path);
    const read = Deno.FsFile.prototype.read;
    Deno.FsFile.prototype.read = () => Promise.reject(new Error("Input/output error (os error 5)"));
    try {
      await refuses(source.read(0, 1), "read-failed", "Input/output error");
    } finally {
      Deno.FsFile.prototype.read = read;
    }
    assertEquals(await source.read(1, 1), new Uint8Array([2]));
    source.close();
    await refuses(source.read(0, 1), "read-failed", `Cannot read "`);
  }));

Deno.test({
  name: "fileSource() and writeFileAtomic() say that Deno was not allowed to",
  permissions: { read: false, write: false },
  async fn() {
    await refuses(fileSource("deno.json"), "file-unreadable", "Deno was not allowed to");
    await refuses(
      writeFileAtomic("x", new Uint8Array()),
      "not-writable",
      "Deno was not allowed to",
    );
  },
});

Deno.test({
  name: "writeFileAtomic() says that Deno gives a device to programs that may do everything",
  ignore: Deno.build.os !== "linux",
  permissions: { read: true, write: true },
  async fn() {
    const write = writeFileAtomic("/dev/full", new Uint8Array(9));
    await refuses(write, "not-writable", "Deno was not allowed to");
    assertEquals((await write.catch((error) => error)).hint, "allow-all");
  },
});

Deno.test("openTensorFile() opens a file, or its shards if there is none", () =>
  inFolder(async (folder) => {
    const path = join(folder, "m.safetensors");
    const names = { a: "m-1.safetensors", b: "m-2.safetensors" };
    await Deno.writeTextFile(`${path}.index.json`, JSON.stringify({ weight_map: names }));
    await Deno.writeFile(join(folder, "m-1.safetensors"), one("a", 1));
    await Deno.writeFile(join(folder, "m-2.safetensors"), one("b", 2));
    for (const name of [path, `${path}.index.json`]) {
      const sharded = await openTensorFile(name);
      assertEquals([...sharded.tensors.keys()], ["a", "b"]);
      assertEquals(await sharded.readFloat32("b"), new Float32Array([2]));
      sharded.close();
    }
    await Deno.remove(join(folder, "m-2.safetensors"));
    await refuses(openTensorFile(path), "shard-missing", `shard "m-2.safetensors" is missing`);

    await Deno.writeFile(path, one("whole", 3));
    const whole = await openTensorFile(path);
    assertEquals(await whole.readFloat32("whole"), new Float32Array([3]));
    whole.close();
  }));

Deno.test("openTensorFile() refuses a missing, truncated or broken file", () =>
  inFolder(async (folder) => {
    const path = join(folder, "m.safetensors");
    await refuses(openTensorFile(path), "file-not-found", `m.safetensors": no such file`);
    await Deno.writeFile(path, one("a", 1).slice(0, -1));
    await refuses(openTensorFile(path), "offsets-out-of-range", "download it again");
    await Deno.writeTextFile(path, "not weights");
    await assertRejects(() => openTensorFile(path), SafetensorsError);
  }));

Deno.test("writeFileAtomic() writes bytes or pieces, and replaces a file", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    await writeFileAtomic(path, new Uint8Array([1, 2, 3]));
    assertEquals(await Deno.readFile(path), new Uint8Array([1, 2, 3]));
    await writeFileAtomic(path, new Uint8Array());
    assertEquals(await Deno.readFile(path), new Uint8Array());
    await writeFileAtomic(
      path,
      (async function* () {
        yield safetensorsHeader([{ name: "x", dtype: "U8", shape: [2] }]);
        yield new Uint8Array([4]);
        yield new Uint8Array([5]);
      })(),
    );
    const file = await openTensorFile(path);
    assertEquals(await file.read("x"), new Uint8Array([4, 5]));
    file.close();
    assertEquals(filesIn(folder), ["a"]);
  }));

Deno.test("writeFileAtomic() writes where a link points", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(join(folder, "real"), new Uint8Array());
    await Deno.symlink("real", join(folder, "link"));
    await writeFileAtomic(join(folder, "link"), new Uint8Array([1]));
    assertEquals(await Deno.readFile(join(folder, "real")), new Uint8Array([1]));
    assert((await Deno.lstat(join(folder, "link"))).isSymlink);
  }));

Deno.test("writeFileAtomic() refuses a missing folder, and anything but a file", () =>
  inFolder(async (folder) => {
    const bytes = new Uint8Array([1]);
    const lost = join(folder, "lost", "a.png");
    await refuses(writeFileAtomic(lost, bytes), "folder-missing", `lost" does not exist`);
    await refuses(writeFileAtomic(folder, bytes), "not-a-file", "it is not a file");
    await refuses(writeFileAtomic(`${folder}/new/`, bytes), "not-a-file", "it is not a file");
    await refuses(writeFileAtomic("", bytes), "not-a-file", "it is not a file");
    await Deno.writeFile(join(folder, "a"), bytes);
    const [file, within] = [join(folder, "a"), join(folder, "a", "b")];
    // Windows calls this missing, too
    const why = Deno.build.os === "windows"
      ? "not exist"
      : `"${file}" is not a folder; name another`;
    await refuses(writeFileAtomic(within, bytes), "folder-missing", why);
    await refuses(makeFolder(file), "exists", `"${file}": it is a file; name a folder`);
    await makeFolder(folder);
    assertEquals(filesIn(folder), ["a"]);
  }));

Deno.test("writeFileAtomic() says why, without the system call", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const loop = join(folder, "loop");
    await Deno.symlink("loop", loop);
    await Deno.symlink("b", join(folder, "a"));
    await Deno.symlink("a", join(folder, "b"));
    for (const path of [loop, join(folder, "a")]) {
      const error = await writeFileAtomic(path, new Uint8Array(1)).catch((error) => error);
      assertEquals(error.message, `Cannot write "${path}": Too many levels of symbolic links`);
    }
    assertEquals(filesIn(folder), ["a", "b", "loop"]);
  }));

Deno.test("writeFileAtomic() replaces the part that a killed process has left", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    await Deno.writeFile(`${path}.part`, new Uint8Array(100));
    await writeFileAtomic(path, new Uint8Array([1]), { part: true });
    assertEquals(await Deno.readFile(path), new Uint8Array([1]));
    assertEquals(filesIn(folder), ["a"]);
  }));

Deno.test("writeFileAtomic() keeps the previous file on a full disk", () =>
  inFolder(async (top) => {
    const folder = join(top, "disk");
    await using disk = await smallDisk(folder, 32_768);
    const path = join(folder, "a");
    await writeFileAtomic(path, new Uint8Array([1]));
    await refuses(writeFileAtomic(path, new Uint8Array(1e5)), "disk-full", "the disk is full");
    const pieces = async function* () {
      for (let i = 0; i < 100; i++) yield await Promise.resolve(new Uint8Array(1000));
    };
    await refuses(writeFileAtomic(path, pieces()), "disk-full", "the disk is full");
    assertEquals(await Deno.readFile(path), new Uint8Array([1]));
    assertEquals(filesIn(folder), ["a"]);
    await disk.enlarge();
    await writeFileAtomic(join(folder, "b"), new Uint8Array(1e5));
  }));

Deno.test(`writeFileAtomic() keeps the previous file on a read-only disk${MOUNTED}`, {
  ignore: !MAY_MOUNT,
}, () =>
  inFolder(async (top) => {
    const folder = join(top, "disk");
    await using disk = await smallDisk(folder, 32_768);
    const path = join(folder, "a");
    await writeFileAtomic(path, new Uint8Array([1]));
    await disk.protect();
    for (const name of ["b", "a"]) {
      const write = writeFileAtomic(join(folder, name), new Uint8Array([2]));
      await refuses(write, "not-writable", "Read-only file system");
    }
    assertEquals(await Deno.readFile(path), new Uint8Array([1]));
    assertEquals(filesIn(folder), ["a"]);
  }));

Deno.test("writeFileAtomic() writes into what is not a file, and leaves it what it is", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await writeFileAtomic("/dev/null", new Uint8Array(9));
    assert((await Deno.stat("/dev/null")).isCharDevice);
    await Deno.symlink("/dev/null", at("null"));
    await writeFileAtomic(at("null"), new Uint8Array(9));
    assert((await Deno.lstat(at("null"))).isSymlink);
    if (Deno.build.os === "linux") {
      await refuses(writeFileAtomic("/dev/full", new Uint8Array(9)), "disk-full", "full");
      assert((await Deno.stat("/dev/full")).isCharDevice);
    }
    await new Deno.Command("mkfifo", { args: [at("fifo")] }).output();
    await Deno.symlink("fifo", at("link"));
    const reading = Deno.readFile(at("fifo"));
    await writeFileAtomic(at("link"), Uint8Array.of(1, 2));
    assertEquals(await reading, Uint8Array.of(1, 2));
    assert((await Deno.stat(at("fifo"))).isFifo);
    assertEquals(filesIn(folder), ["fifo", "link", "null"]);
  }));

Deno.test("fileSource() and readSmallFile() wait for no one", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const fifo = join(folder, "fifo");
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    for (const path of [fifo, "/dev/zero", folder]) {
      await refuses(fileSource(path), "not-a-file", "it is not a file");
      await refuses(readSmallFile(path, 10), "not-a-file", "it is not a file");
    }
    await Deno.writeFile(join(folder, "a"), new Uint8Array(11));
    const large = `it has 11 B, the limit is 10 B`;
    await refuses(readSmallFile(join(folder, "a"), 10), "too-large", large);
    assertEquals(await readSmallFile(join(folder, "a"), 11), new Uint8Array(11));
  }));

Deno.test("writeFileAtomic() leaves nothing when the pieces fail", () =>
  inFolder(async (folder) => {
    const failure = new Error("lost device");
    const pieces = (async function* () {
      yield new Uint8Array([1]);
      throw failure;
    })();
    const caught = await writeFileAtomic(join(folder, "a"), pieces).catch((error) => error);
    assert(caught === failure);
    assertEquals(filesIn(folder), []);
  }));

Deno.test("writeFileAtomic() leaves nothing when aborted, and ends the pieces", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    const aborted = AbortSignal.abort();
    await assertRejects(
      () => writeFileAtomic(path, new Uint8Array(1), { signal: aborted }),
      DOMException,
    );
    for (const at of [1, 2]) {
      const controller = new AbortController();
      let ended = false;
      const pieces = (async function* () {
        try {
          yield new Uint8Array([1]);
          if (at === 1) controller.abort();
          yield new Uint8Array([2]);
          controller.abort();
        } finally {
          ended = true;
        }
      })();
      const { signal } = controller;
      const error = await assertRejects(
        () => writeFileAtomic(path, pieces, { signal }),
        DOMException,
      );
      assertEquals(error.name, "AbortError");
      assert(ended);
      assertEquals(filesIn(folder), []);
    }
  }));

Deno.test("isFolder() tells folders from files and shards, and says what does not exist", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "sub"));
    for (const name of ["file", join("sub", "m.safetensors.index.json")]) {
      await Deno.writeTextFile(join(folder, name), "{}");
    }
    assertEquals(await isFolder(join(folder, "sub")), true);
    assertEquals(await isFolder(join(folder, "file")), false);
    assertEquals(await isFolder(join(folder, "sub", "m.safetensors")), false);
    for (const path of [join(folder, "none"), join(folder, "file", "below")]) {
      await refuses(isFolder(path), "file-not-found", "it does not exist; check the path");
    }
  }));
