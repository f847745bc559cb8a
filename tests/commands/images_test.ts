// The commands that take images and bits, in this process; bad input to them, through the real one.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { crc32 } from "node:zlib";
import { main } from "../../cli.ts";
import { encodeSafetensors } from "../../engine/mod.ts";
import { decodeBitsFile, encodeBitsFile } from "../../model/bits/bits_file.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import { decodePng } from "../decode_png.ts";
import { encodePng, type Image } from "../../model/image/png.ts";
import { ended, fakeIo, filesIn, inFolder, MODEL, refuses, start } from "./process.ts";
import { JPEG, JPEG_CMYK, PNG as SMALL, WEBP } from "../model/image/image_files.ts";

/** Makes a PNG whose header claims another size. */
function claiming(width: number, height: number): Uint8Array<ArrayBuffer> {
  const file = SMALL.slice();
  const view = new DataView(file.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crc32(file.subarray(12, 29)));
  return file;
}

const FILES: Record<string, Uint8Array> = {
  jpeg: JPEG,
  webp: WEBP,
  cmyk: JPEG_CMYK,
  "huge.png": claiming(100_000, 100_000),
  "empty.png": claiming(0, 7),
  "cut.png": SMALL.subarray(0, SMALL.length - 20),
  text: new TextEncoder().encode("no image"),
};

/** Runs a command, asserts that it succeeds without a message, and returns stdout. */
async function run(...args: string[]): Promise<string> {
  const io = fakeIo();
  assertEquals(await main(args, io), 0, io.errors());
  assertEquals(/error|warning/.test(io.errors()), false, io.errors());
  return io.text();
}

async function image(path: string): Promise<Image> {
  return decodePng(await Deno.readFile(path));
}

/** Writes the image that the reference encoded as a PNG. */
async function writeReference(path: string): Promise<void> {
  const file = await openTensorFile(join(MODEL, "expected.safetensors"));
  const bytes = await file.read("vae.image_u8");
  file.close();
  const rgba = Uint8Array.from(
    { length: 4096 },
    (_, i) => i % 4 === 3 ? 255 : Number(bytes[Math.floor(i / 4) * 3 + i % 4]),
  );
  await Deno.writeFile(path, encodePng(rgba, 32, 32));
}

Deno.test("encode, inspect, decode and reconstruct turn an image into bits and back", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await writeReference(at("in.png"));
    const bits = at("x.bits.safetensors");
    const flags = ["--trace", at("t.safetensors"), "--json"];
    const made = JSON.parse(await run("encode", at("in.png"), "-o", bits, ...flags));
    const { size } = await Deno.stat(bits);
    assertEquals([made.bits, made.bitsPerPixel, made.fileBytes], [960, 0.9375, size]);
    assertEquals([made.path, made.latent, made.schedule], [bits, "4x4", "1x1,2x2,3x3,4x4"]);
    assert(size < 120 + 8 + 250, `${size} bytes for 120 bytes of bits`);

    const trace = await openTensorFile(at("t.safetensors"));
    const golden = await openTensorFile(join(MODEL, "expected.safetensors"));
    const stored = await decodeBitsFile(await Deno.readFile(bits));
    for (let s = 0; s < 4; s++) {
      const expected = await golden.read(`vae.bits.${s}`);
      assertEquals(await trace.read(`scale${s}.bits`), expected);
      assertEquals(stored.scales[s], expected);
    }
    trace.close();
    golden.close();

    const shown = await run("inspect", bits);
    assertStringIncludes(
      shown,
      "an image of 32x32 pixels as 960 bits of emoji-nano, 0.938 a pixel",
    );
    assertStringIncludes(shown, "    4   4x4   512");
    const report = JSON.parse(await run("inspect", bits, "--json"));
    assertEquals([report.bits, report.scales.length, report.scales[2].grid], [960, 4, "3x3"]);
    assertEquals(await run("inspect", bits, "--sheet", at("s.png")), `${at("s.png")}\n`);
    assertEquals((await image(at("s.png"))).width, 4 * (128 + 8) + 8);

    assertEquals(await run("decode", bits, "-o", at("d.png")), `${at("d.png")}\n`);
    const coarse = JSON.parse(
      await run("decode", bits, "-o", at("d2.png"), "--scales", "2", "--json"),
    );
    assertEquals([coarse.scales, coarse.width, coarse.path], [2, 32, at("d2.png")]);

    const table = await run("reconstruct", at("in.png"), "-o", at("r.png"));
    assertEquals(await image(at("r.png")), await image(at("d.png")));
    const [path, head, ...rows] = table.trim().split("\n");
    assertEquals([path, rows.length], [at("r.png"), 4]);
    assertEquals(head!.split(/ {2,}/), [
      "scale",
      "grid",
      "bits so far",
      "bits/pixel",
      "PSNR dB",
      "SSIM",
    ]);
    const quality = JSON.parse(
      await run("reconstruct", at("in.png"), "-o", at("r2.png"), "--scales", "2", "--json"),
    );
    assertEquals(await image(at("r2.png")), await image(at("d2.png")));
    assertEquals([quality.bits, quality.scales.length], [160, 2]);
    const psnr = Number(rows[3]!.trim().split(/ +/)[4]);
    assert(quality.psnr > 15 && psnr > 28 && psnr > quality.psnr, `${quality.psnr}, ${psnr} dB`);
    assert(quality.ssim > 0.3 && quality.ssim < 1, `${quality.ssim}`);
  }));

Deno.test("commands say in one warning what of an image was changed", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.writeFile(at("print.jpg"), JPEG_CMYK);
    const cmyk = `warning: "${at("print.jpg")}": it is in CMYK, for print; its colours are ` +
      "converted to RGB roughly";
    const bits = at("x.bits.safetensors");
    const cases: [args: string[], count: number][] = [
      [["encode", at("print.jpg"), "-o", bits], 1],
      [["reconstruct", at("print.jpg"), "-o", at("r.png")], 1],
      [["interpolate", bits, at("print.jpg"), "--steps", "2", "-o", at("i.png")], 1],
      [["analyze", at("print.jpg"), "--trials", "1"], 1],
      [["generate", "cat", "-i", at("print.jpg"), "-o", at("g.png")], 1],
      [["variations", at("print.jpg"), "cat", "-b", "1", "-o", at("v.png")], 1],
      [["generate", "cat", "-i", bits, "--keep-scales", "1", "-o", at("k.png")], 0],
    ];
    for (const [args, count] of cases) {
      const io = fakeIo();
      assertEquals(await main(args, io), 0, io.errors());
      const warnings = io.errors().split("\n").filter((line) => line.startsWith("warning:"));
      assertEquals(warnings, Array(count).fill(cmyk), args.join(" "));
    }
    const json = ["generate", "cat", "-i", at("print.jpg"), "-o", at("j.png"), "--json"];
    const io = fakeIo();
    assertEquals(await main(json, io), 0, io.errors());
    assertEquals(JSON.parse(io.text()).warnings, [cmyk.slice("warning: ".length)]);
  }));

Deno.test("commands of images read as many pixels as --max-pixels says", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.writeFile(at("a.png"), SMALL); // 19x11
    const bits = at("x.bits.safetensors");
    await run("encode", at("a.png"), "-o", bits, "--max-pixels", "209");
    const cases = [
      ["encode", at("a.png"), "-o", at("e.safetensors")],
      ["reconstruct", at("a.png"), "-o", at("r.png")],
      ["interpolate", bits, at("a.png"), "-o", at("i.png")],
      ["analyze", at("a.png")],
      ["generate", "cat", "-i", at("a.png"), "-o", at("g.png")],
      ["generate", "cat", "-i", bits, "--mask", at("a.png"), "-o", at("m.png")],
      ["variations", at("a.png"), "cat", "-o", at("v.png")],
    ];
    for (const args of cases) {
      const io = fakeIo();
      assertEquals(await main([...args, "--max-pixels", "208"], io), 1, io.errors());
      assertEquals(
        io.errors(),
        `error: Cannot read "${at("a.png")}": 19x11 is more than the 208 pixels allowed; ` +
          "make it smaller; or allow more with --max-pixels\n",
      );
    }
  }));

Deno.test("encode takes numbers with any schedule, JPEG and WebP", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const data = new Float32Array(3 * 24 * 40).map((_, i) => Math.sin(i / 50));
    await Deno.writeFile(
      at("x.safetensors"),
      encodeSafetensors([{ name: "image", dtype: "F32", shape: [3, 24, 40], data }]),
    );
    const out = ["-o", at("x.bits.safetensors"), "--json"];
    const made = JSON.parse(
      await run("encode", at("x.safetensors"), "--vae-schedule", "1x1,2x2,3x5", ...out),
    );
    assertEquals([made.width, made.height, made.bits], [40, 24, 32 * (1 + 4 + 15)]);
    for (const name of ["jpeg", "webp"]) {
      await Deno.writeFile(at(name), FILES[name]!);
      const made = JSON.parse(await run("encode", at(name), ...out));
      assertEquals([made.width, made.height], [32, 32]);
    }
  }));

Deno.test("generate edits an image and writes its scales; variations keep some", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await run("generate", "red apple", "-s", "7", "-o", at("a.png"));
    const plain = await Deno.readFile(at("a.png"));
    const flags = ["--preview", at("p"), "--animate", at("m.png"), "--json"];
    const report = JSON.parse(
      await run("generate", "red apple", "-s", "7", "-o", at("a.png"), ...flags),
    );
    assertEquals(await Deno.readFile(at("a.png")), plain, "looking changes nothing");
    assertEquals(report.previews, [1, 2, 3, 4].map((s) => join(at("p"), `scale-0${s}.png`)));
    assertEquals(filesIn(at("p")), [
      "scale-01.png",
      "scale-02.png",
      "scale-03.png",
      "scale-04.png",
    ]);
    assertEquals((await image(report.previews[3])).rgba, decodePng(plain).rgba);
    assertEquals(report.animations, [at("m.png")]);
    assertEquals(await image(at("m.png")), await image(report.previews[3]), "the finished image");

    await run("encode", at("a.png"), "-o", at("a.bits.safetensors"));
    await run("decode", at("a.bits.safetensors"), "-o", at("again.png"));
    for (const init of ["a.png", "a.bits.safetensors"]) {
      await run("generate", "pizza", "-i", at(init), "--strength", "0", "-o", at("same.png"));
      assertEquals(
        (await image(at("same.png"))).rgba,
        (await image(at("again.png"))).rgba,
        init,
      );
    }
    // white on the right is generated, the left stays
    const rgba = Uint8Array.from(
      { length: 4096 },
      (_, i) => i % 4 === 3 || i / 4 % 32 >= 16 ? 255 : 0,
    );
    await Deno.writeFile(at("mask.png"), encodePng(rgba, 32, 32));
    const edit = ["-i", at("a.png"), "--mask", at("mask.png"), "-o", at("e.png")];
    const [edited] = JSON.parse(await run("generate", "blue car", ...edit, "--json")).images;
    assertStringIncludes(edited.parameters, "Kept scales: 0, Masked: True");
    const [e, a] = [await image(at("e.png")), await image(at("again.png"))];
    const change = (from: number, to: number) => {
      let sum = 0;
      for (let i = 0; i < 1024; i++) {
        if (i % 32 >= from && i % 32 < to) sum += Math.abs(e.rgba[4 * i]! - a.rgba[4 * i]!);
      }
      return sum / (32 * (to - from));
    };
    // codes outside are the same, exactly (edit_test.ts); the decoder's norms spread a little over all pixels
    assert(change(20, 32) > 3 * change(0, 12), `${change(0, 12)}, ${change(20, 32)}`);

    const varied = JSON.parse(
      await run("variations", at("a.png"), "-k", "1", "-b", "2", "-o", at("v.png"), "--json"),
    );
    assertEquals(varied.images.map(({ path }: { path: string }) => path), [
      at("v-1.png"),
      at("v-2.png"),
    ]);
    for (const { parameters } of varied.images) {
      assert(parameters.startsWith("red apple\n") && parameters.includes("Kept scales: 1"));
    }
    const half = await run(
      "variations",
      at("a.bits.safetensors"),
      "green apple",
      "-o",
      at("h.png"),
    );
    assertEquals(half.trim().split("\n").length, 4);
  }));

Deno.test("variations take a stored prompt as it is, whatever it begins with", () =>
  inFolder(async (folder) => {
    for (const prompt of ["-", "@", "@file", "@@home"]) {
      const parameters = `${prompt}\nSteps: 4, Seed: 1, Size: 32x32`;
      const file = encodePng(new Uint8Array(4096).fill(200), 32, 32, { parameters });
      await Deno.writeFile(join(folder, "a.png"), file);
      const args = ["variations", join(folder, "a.png"), "-b", "1", "--json", "--overwrite"];
      const io = fakeIo(); // that the model does not know an @ is a warning
      assertEquals(await main([...args, "-o", join(folder, "v.png")], io), 0, io.errors());
      const { images } = JSON.parse(io.text());
      assertEquals(images[0].prompt, prompt);
    }
  }));

Deno.test("interpolate goes from one image to the other", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await run("generate", "-p", "cat face", "-p", "dog face", "-o", at("x.png"));
    await run("encode", at("x-1.png"), "-o", at("a.bits.safetensors"));
    await run("decode", at("a.bits.safetensors"), "-o", at("a.png"));
    await run("reconstruct", at("x-2.png"), "-o", at("b.png"));
    const extra = ["--sheet", at("sheet.png"), "--animate", at("anim.png")];
    const ends = [at("a.bits.safetensors"), at("x-2.png"), "-o", at("i.png")];
    const out = await run("interpolate", ...ends, "--steps", "5", ...extra);
    const names = ["i-1.png", "i-2.png", "i-3.png", "i-4.png", "i-5.png", "sheet.png", "anim.png"];
    assertEquals(out, names.map((name) => `${at(name)}\n`).join(""));
    const pixels = async (name: string) => (await image(at(name))).rgba;
    assertEquals(await pixels("i-1.png"), await pixels("a.png"));
    assertEquals(await pixels("i-5.png"), await pixels("b.png"));
    assertEquals((await image(at("sheet.png"))).width, 5 * (128 + 8) + 8);
  }));

Deno.test("generate --preview: Ctrl-C leaves complete previews only", () =>
  inFolder(async (cwd) => {
    const args = ["red apple", "-b", "40", "--preview", "p", "-o", "x.png"];
    const process = start(["generate", ...args], { cwd });
    const reader = process.stderr.getReader();
    let said = "";
    while (!said.includes("Scale 2/4")) {
      const { value, done } = await reader.read();
      assert(!done, said);
      said += new TextDecoder().decode(value);
    }
    process.kill("SIGINT");
    reader.releaseLock();
    const { code } = await ended(process);
    assertEquals(code, 130);
    assertEquals(filesIn(cwd).filter((name) => name !== "p"), []);
    for (const name of filesIn(cwd).includes("p") ? filesIn(join(cwd, "p")) : []) {
      assert(/^scale-0[1-4]-\d+\.png$/.test(name), name);
      assertEquals((await image(join(cwd, "p", name))).width, 32, name);
    }
  }));

Deno.test("commands of images refuse bad input in one line", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    for (const [name, bytes] of Object.entries(FILES)) await Deno.writeFile(at(name), bytes);
    await writeReference(at("ok.png"));
    await run("encode", at("ok.png"), "-o", at("ok.bits.safetensors"));
    const bits = await decodeBitsFile(await Deno.readFile(at("ok.bits.safetensors")));
    const scales = bits.scales.map((scale) => scale.slice(scale.length / 2));
    await Deno.writeFile(at("d16.safetensors"), encodeBitsFile({ ...bits, d: 16, scales }));
    const other = { ...bits, schedule: [[1, 1], [2, 2], [4, 4]] as const };
    await Deno.writeFile(
      at("other.safetensors"),
      encodeBitsFile({ ...other, scales: [bits.scales[0]!, bits.scales[1]!, bits.scales[3]!] }),
    );
    const zero = { name: "image", dtype: "F32" as const, shape: [3, 0, 8], data: new Uint8Array() };
    await Deno.writeFile(at("zero.safetensors"), encodeSafetensors([zero]));
    await Deno.writeFile(at("mask31.png"), encodePng(new Uint8Array(4 * 31 * 32), 31, 32));
    const x = "x.png";
    const cases: [string[], number, string][] = [
      [["encode", at("huge.png")], 1, "bytes of pixel data cannot be 100000x100000 pixels"],
      [["encode", at("empty.png")], 1, "it has no pixels"],
      [["reconstruct", at("cut.png")], 1, "the file ends before the image does"],
      [["encode", at("text")], 1, "it is text that begins"],
      [["encode", at("zero.safetensors")], 2, "image is F32 [3, 0, 8], not F32 [3, height, width]"],
      [["encode", at("nope.png")], 1, "no such file; check the path"],
      [["encode", folder], 1, "it is not a file"],
      [["encode"], 2, "Cannot encode without a file: give one image"],
      [["encode", at("ok.png"), at("ok.png")], 2, "Cannot encode 2 files: give one image"],
      [["encode", at("ok.bits.safetensors")], 2, "it is bits already"],
      [
        ["encode", at("ok.png"), "-o", x],
        2,
        "bits are safetensors files, use a name that ends in .safetensors",
      ],
      [["encode", at("ok.png"), "--scales", "9"], 2, "Cannot take 9 scales: the image has 4"],
      [
        ["encode", at("ok.png"), "-W", "64", "-H", "64", "--vae-schedule", "1x1"],
        2,
        "schedule and width: give one of them",
      ],
      [["encode", at("ok.png"), "--vae-schedule", "1x1,a"], 2, '"a" is not a scale'],
      [["encode", at("ok.png"), "-o", "no/x.bits.safetensors"], 1, 'folder "no" does not exist'],
      [["decode", at("ok.png")], 2, "it is an image; encode or reconstruct it"],
      [["decode", at("d16.safetensors")], 2, "it has 16 bits a position"],
      [["decode", join(MODEL, "vae.safetensors")], 2, "it is not a bits file"],
      [["reconstruct", at("ok.bits.safetensors")], 2, "it is bits; decode them"],
      [["inspect", at("ok.png"), "--sheet", x], 2, "it holds no bits"],
      [["variations"], 2, "Cannot make variations: give an image, or its bits"],
      [["variations", at("ok.png")], 2, "without a prompt: say what it shows"],
      [["interpolate", at("ok.png")], 2, "Cannot interpolate 1 image: give two"],
      [
        ["interpolate", at("ok.png"), at("ok.bits.safetensors"), "-H", "32"],
        2,
        "Cannot use --height with bits: they have a size and scales",
      ],
      [
        ["interpolate", at("ok.bits.safetensors"), at("ok.png"), "--vae-schedule", "1x1"],
        2,
        "Cannot use --vae-schedule with bits",
      ],
      [["interpolate", at("ok.png"), at("ok.png"), "--steps", "1"], 2, "--steps must be 2 to 999"],
      [
        ["interpolate", at("ok.bits.safetensors"), at("other.safetensors")],
        2,
        "one has the scales 1x1,2x2,3x3,4x4, the other 1x1,2x2,4x4",
      ],
      [["generate", "cat", "--mask", at("ok.png")], 2, "Cannot use --mask alone"],
      [["generate", "cat", "--strength", "1"], 2, "Cannot use --strength alone"],
      [["generate", "cat", "-i", at("ok.png"), "--strength", "2"], 2, "it must be from 0 to 1"],
      [["generate", "cat", "-i", at("ok.png"), "--mask", at("mask31.png")], 2, "a mask of 31x32"],
      [["generate", "cat", "-i", at("d16.safetensors")], 2, "it has 16 bits a position"],
      [
        ["generate", "cat", "-i", at("other.safetensors"), "--schedule", "1x1,2x2,3x3,4x4"],
        2,
        "it has the scales 1x1,2x2,4x4 of 4x4 positions, the requested schedule is 1x1,2x2,3x3,4x4",
      ],
      [["generate", "cat", "--preview", at("ok.png")], 1, "Cannot write"],
      [["generate", "cat", "--animate", "output.png"], 2, 'Cannot write "output.png" twice'],
      [["generate", "cat", "--animate", "x.gif"], 2, "images are PNG files"],
    ];
    // relative names lie in a folder of the test's own
    const before = filesIn(folder);
    const cwd = Deno.cwd();
    try {
      Deno.chdir(folder);
      for (const [args, code, message] of cases) {
        const io = fakeIo();
        assertEquals(await main(args, io), code, io.errors());
        const lines = io.errors().trim().split("\n").filter((line) => !line.startsWith("Loading "));
        assertEquals(lines.length, 1, io.errors());
        assert(lines[0]!.startsWith("error: ") && lines[0]!.includes(message), io.errors());
        assertEquals(io.text(), "");
      }
    } finally {
      Deno.chdir(cwd);
    }
    assertEquals(filesIn(folder), before);
    // the same once as users see it
    await refuses(["encode", at("text")], 1, "it is text that begins");
    await refuses(["generate", "cat", "-i", at("ok.png"), "--strength", "-1"], 2, "from 0 to 1");
  }));
