// Batches, numbering, and what becomes of stdout, through the real process.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { decodePng } from "../decode_png.ts";
import { readPngText } from "../../model/image/png.ts";
import { CLI, ended, filesIn, inFolder, runFlags, start, summary } from "./process.ts";

/** A limit within which the model in the box makes two or three images at once. */
const TIGHT = ["--max-vram", "45M"];

Deno.test("generate: batches that fit make the images of one batch, and plan says their size", () =>
  inFolder(async (cwd) => {
    const args = ["generate", "-p", "red apple", "-p", "pizza", "-b", "4", "-s", "5"];
    const all = await ended(start([...args, "-o", "a.png"], { cwd }));
    const few = await ended(start([...args, "-o", "b.png", "-v", ...TIGHT], { cwd }));
    assertEquals([all.code, few.code], [0, 0], all.err + few.err);
    const [, batches = "", size = ""] = /8 images in (\d+) batches of at most (\d)/.exec(few.err) ??
      [];
    assert(Number(batches) > 2 && Number(size) > 1, few.err);
    const names = Array.from({ length: 8 }, (_, i) => i + 1);
    assertEquals(few.out, names.map((i) => `b-${i}.png\n`).join(""));
    for (const i of names) {
      const read = (stem: string) => Deno.readFile(join(cwd, `${stem}-${i}.png`));
      assertEquals(await read("b"), await read("a"), `image ${i}`);
      assertStringIncludes(readPngText(await read("b")).parameters!, `Seed: ${4 + i}, `);
    }
    const plan = await ended(start(["plan", "-b", "8", ...TIGHT], { cwd }));
    assertMatch(plan.out, /\n8 images in [2-4] batches of at most [2-4]\n/);
  }));

Deno.test("generate: Ctrl-C keeps finished images, and says how to continue", {
  ignore: Deno.build.os === "windows", // a child cannot be sent Ctrl-C
}, () =>
  inFolder(async (cwd) => {
    const process = start(["generate", "red apple", "-b", "400", "-s", "7", ...TIGHT], { cwd });
    const reader = process.stdout.getReader();
    const { value } = await reader.read();
    assertStringIncludes(new TextDecoder().decode(value), "output-001.png");
    process.kill("SIGINT");
    reader.releaseLock();
    const { code, said } = await ended(process);
    assertEquals([code, said.length, said[1]], [130, 2, "Interrupted"], said.join("\n"));
    const [, written = "", seed = "", left = "", begin = ""] =
      /^(\d+) of 400 images were written; continue with -s (\d+) -b (\d+) --output-begin-idx (\d+)$/
        .exec(said[0]!) ?? [];
    const n = Number(written);
    assertEquals([seed, left, begin].map(Number), [7 + n, 400 - n, 1 + n], said[0]);
    assertEquals(filesIn(cwd).length, n);
    for (const name of filesIn(cwd)) {
      assertEquals(decodePng(await Deno.readFile(join(cwd, name))).width, 32);
    }
  }));

Deno.test("generate: --upscale, --disable-image-metadata, -q and a second run", () =>
  inFolder(async (cwd) => {
    const run = async (...args: string[]) => {
      const { code, out, err } = await ended(start(["generate", "red apple", ...args], { cwd }));
      assertEquals(code, 0, err);
      return { out, err };
    };
    assertEquals(await run("-q"), { out: "output.png\n", err: "" });
    const flags = ["--upscale", "4", "--disable-image-metadata"];
    const { out, err } = await run(...flags);
    assertEquals(out, "output-2.png\n");
    assertStringIncludes(
      err,
      "output.png exists: writing output-2.png instead (--overwrite replaces)\n",
    );
    const small = decodePng(await Deno.readFile(join(cwd, "output.png")));
    const file = await Deno.readFile(join(cwd, "output-2.png"));
    const large = decodePng(file);
    assertEquals([large.width, large.height, readPngText(file)], [128, 128, Object.create(null)]);
    for (const [x, y] of [[0, 0], [3, 3], [4, 3], [127, 127], [66, 51]] as const) {
      const [at, from] = [4 * (y * 128 + x), 4 * ((y >> 2) * 32 + (x >> 2))];
      assertEquals(large.rgba.subarray(at, at + 4), small.rgba.subarray(from, from + 4));
    }
    const random = await run("-s", "-1", "-o", "random.png");
    const [, seed = ""] = /^Seed (\d+)$/m.exec(random.err) ?? [];
    const { parameters } = readPngText(await Deno.readFile(join(cwd, "random.png")));
    assertStringIncludes(parameters!, `Seed: ${seed}, `);
    assertEquals(/^Seed/m.test(err), false, "a seed that was chosen needs no mention");
    await Deno.chmod(join(cwd, "output.png"), 0o600).catch(() => {});
    const numbered = ["-b", "2", "-o", "n-%03d.png", "--output-begin-idx", "9"];
    assertEquals((await run(...numbered)).out, "n-009.png\nn-010.png\n");
    assertEquals((await run("--overwrite", ...flags)).out, "output.png\n");
    assertEquals(await Deno.readFile(join(cwd, "output.png")), file);
    if (Deno.build.os === "windows") return;
    assertEquals((await Deno.stat(join(cwd, "output.png"))).mode! & 0o777, 0o600);
  }));

/** Runs a pipeline of the shell where `bitwise` is the command line. */
async function shell(cwd: string, script: string): Promise<{ out: string; err: string }> {
  const { BITWISE_DEBUG: _, ...env } = Deno.env.toObject();
  const run = `bitwise() { ${Deno.execPath()} ${[...runFlags("generate"), CLI].join(" ")} "$@"; }`;
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `${run}; ${script}`],
    cwd,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return summary(code, decode(stdout), decode(stderr));
}

Deno.test("generate and encode work in pipelines, and a broken one gets one line", {
  ignore: Deno.build.os === "windows",
}, () =>
  inFolder(async (cwd) => {
    await Deno.symlink("/proc/self/fd/1", join(cwd, "stdout"));
    const { out, err } = await shell(
      cwd,
      `
      echo "red apple" | bitwise generate -q -p - -o a.png
      bitwise generate -q "red apple" -o ./stdout | cmp - a.png && echo "link to stdout"
      bitwise encode -q <(cat a.png) -o p.safetensors
      cat a.png | bitwise encode -q /dev/stdin -o s.safetensors
      cmp p.safetensors s.safetensors && echo "pipes"
      bitwise generate -q "red apple" -o - >/dev/full; echo "full $?"
      { bitwise generate -q "red apple" -o -; echo "closed $?" >&2; } | true
      bitwise inspect a.png >/dev/full; echo "full $?"
      bitwise generate "red apple" -o b.png 2>/dev/full; echo "deaf $?"
      bitwise generate -q "red apple" -b 3 -o c.png | true; echo c-*.png
    `,
    );
    assertEquals(
      out,
      "a.png\nlink to stdout\np.safetensors\ns.safetensors\npipes\nfull 1\nfull 1\nb.png\ndeaf 0\nc-1.png c-2.png c-3.png\n",
    );
    assertEquals(err.trimEnd().split("\n"), [
      "error: Cannot write to stdout: no space is left on the device",
      "error: Cannot write to stdout: the program that reads it has ended",
      "closed 1",
      "error: Cannot write to stdout: no space is left on the device",
    ]);
    assert((await Deno.lstat(join(cwd, "stdout"))).isSymlink);
  }));
