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
  openTensorFile,
  writeFileAtomic,
} from "../../../model/checkpoint/files.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

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
    await refuses(writeFileAtomic(join(folder, "a", "b"), bytes), "folder-missing", "not exist");
    assertEquals(filesIn(folder), ["a"]);
  }));

Deno.test("writeFileAtomic() says why, without the system call", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const loop = join(folder, "loop");
    await Deno.symlink("loop", loop);
    const error = await writeFileAtomic(loop, new Uint8Array(1)).catch((error) => error);
    assertEquals(error.message, `Cannot write "${loop}": Too many levels of symbolic links`);
  }));

Deno.test("writeFileAtomic() keeps the previous file when the disk is full", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    await Deno.writeFile(path, new Uint8Array([1]));
    const write = Deno.FsFile.prototype.write;
    Deno.FsFile.prototype.write = () => {
      const error = new Error("No space left on device (os error 28)");
      return Promise.reject(Object.assign(error, { code: "ENOSPC" }));
    };
    try {
      await refuses(writeFileAtomic(path, new Uint8Array(9)), "disk-full", "the disk is full");
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    assertEquals(await Deno.readFile(path), new Uint8Array([1]));
    assertEquals(filesIn(folder), ["a"]);
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
