import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../../cli.ts";
import { UsageError } from "../../../commands/flags/flags.ts";
import { readInput } from "../../../commands/io/images.ts";
import { readSource } from "../../../commands/io/input.ts";
import { standardStream } from "../../../commands/io/standard_stream.ts";
import { PNG } from "../../model/image/image_files.ts";
import { fakeIo, inFolder } from "../process.ts";

Deno.test("readSource() reads stdin, files and pipes to their end", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const bytes = Uint8Array.of(1, 2, 3);
    assertEquals(await readSource("-", fakeIo(bytes)), { name: "stdin", bytes });
    await Deno.writeFile(at("f"), bytes);
    assertEquals(await readSource(at("f"), fakeIo()), { name: at("f"), bytes });
    await assertRejects(() => readSource(at("f"), fakeIo(), 2), Error, "it has more than 2 B");
    await assertRejects(() => readSource(at("none"), fakeIo()), Error, "no such file");
    await assertRejects(() => readSource(folder, fakeIo()), Error, "it is not a file");
    const terminal = { ...fakeIo(), inIsTerminal: true };
    await assertRejects(() => readSource("-", terminal), UsageError, "from a terminal: pipe it in");
    if (Deno.build.os === "windows") return;
    assertEquals((await readSource("/dev/null", fakeIo())).bytes.length, 0);
    assertEquals((await readSource("/dev/stdin", fakeIo(bytes))).name, "stdin");
    await new Deno.Command("mkfifo", { args: [at("fifo")] }).output();
    const reading = readSource(at("fifo"), fakeIo());
    await Deno.writeFile(at("fifo"), bytes);
    assertEquals((await reading).bytes, bytes);
  }));

Deno.test("standardStream() knows the process's own streams, also through links", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (folder) => {
    const link = join(folder, "a");
    await Deno.symlink("b", link);
    assertEquals(await standardStream(link), undefined);
    await Deno.symlink("/proc/self/fd/1", join(folder, "b"));
    assertEquals(await standardStream(link), 1);
    assertEquals(await standardStream("/dev/stderr"), 2);
    assertEquals(await standardStream("/dev/fd/0"), 0);
    assertEquals(await standardStream("/dev/null"), undefined);
    const loop = join(folder, "loop");
    await Deno.symlink("loop", loop);
    assertEquals(await standardStream(loop), undefined);
  }));

Deno.test("readInput() tells images from bits by what they begin with", () =>
  inFolder(async (folder) => {
    const png = join(folder, "a.png");
    await Deno.writeFile(png, PNG);
    const piped = fakeIo(PNG);
    const out = fakeIo();
    assertEquals(await main(["encode", png, "-o", "-"], out), 0, out.errors());
    const bits = await readInput("-", fakeIo(out.bytes()));
    const image = await readInput("-", piped);
    assertEquals(["scales" in bits, "fit" in image], [true, true]);
    const shown = fakeIo(out.bytes());
    assertEquals(await main(["inspect", "-"], shown), 0, shown.errors());
    assertEquals(shown.text().startsWith("stdin: an image of 32x32 pixels as 960 bits"), true);
    const again = fakeIo(out.bytes());
    assertEquals(await main(["decode", "-", "-o", "-"], again), 0, again.errors());
    assertEquals("fit" in await readInput("-", fakeIo(again.bytes())), true);
  }));
