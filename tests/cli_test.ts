// Bad input, through the real process: one line, the right exit status, no file left.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { DAWN } from "./backend.ts";
import { main } from "../cli.ts";
import type { Io } from "../commands/io/io.ts";
import { encodeSafetensors, type TensorToWrite } from "../engine/mod.ts";
import { openTensorFile } from "../model/checkpoint/files.ts";
import {
  CLI,
  ended,
  fakeIo,
  filesIn,
  inFolder,
  MODEL,
  NO_GPU,
  refuses,
  runFlags,
  start,
  summary,
} from "./commands/process.ts";

async function says(args: string[], io: ReturnType<typeof fakeIo>): Promise<[number, string]> {
  return [await main(args, io), io.text() + io.errors()];
}

Deno.test("main() shows help and version", async () => {
  for (const args of [[], ["--help"], ["-h"], ["help"]]) {
    const [code, text] = await says(args, fakeIo());
    assertEquals(code, 0);
    assertStringIncludes(text, "  doctor       Check the GPU");
  }
  const images = ["encode", "decode", "reconstruct", "variations", "interpolate", "analyze"];
  for (const name of ["generate", "demo", ...images, "inspect", "doctor", "completions"]) {
    const [code, text] = await says([name, "--help"], fakeIo());
    assertEquals(code, 0);
    assertStringIncludes(text, `Usage: bitwise ${name} [FLAGS]`);
    assertEquals(await says(["help", name], fakeIo()), [0, text]);
  }
  assertEquals((await says(["--version"], fakeIo()))[1].slice(0, 8), "bitwise ");
});

Deno.test("main() suggests the command that was meant", async () => {
  const expected = "error: Unknown command generat: did you mean generate?\n";
  assertEquals(await says(["generat"], fakeIo()), [2, expected]);
  assertEquals(await says(["--nope"], fakeIo()), [2, "error: Unknown flag --nope: see --help\n"]);
});

Deno.test("main() reports an unexpected error in one line, with its stack on request", async () => {
  const broken = (): Io => ({
    ...fakeIo(),
    out() {
      throw new TypeError("it broke\n  in two");
    },
  });
  const io = fakeIo();
  assertEquals(await main(["--help"], { ...broken(), err: io.err }), 1);
  assertEquals(io.errors(), "error: it broke in two; set BITWISE_DEBUG=1 for the stack trace\n");
  const debug = fakeIo();
  assertEquals(await main(["--help"], { ...broken(), err: debug.err }, () => "1"), 1);
  assertStringIncludes(
    debug.errors(),
    "error: it broke in two\nTypeError: it broke\n  in two\n    at",
  );
});

Deno.test("cli reports what nobody waits for in one line, too", () =>
  inFolder(async (cwd) => {
    const module = join(cwd, "fails.ts");
    for (const fail of ["Promise.reject(error);", "throw error;"]) {
      // once the command line listens, while the command waits for its input
      const code = `const listen = globalThis.addEventListener;
        globalThis.addEventListener = (name, ...rest) => {
          listen.call(globalThis, name, ...rest);
          const error = new Error("it \\x1b[2J\\nbroke");
          if (name === "error") setTimeout(() => { ${fail} });
        };`;
      await Deno.writeTextFile(module, code);
      const process = new Deno.Command(Deno.execPath(), {
        args: [...runFlags("inspect"), "--no-check", "--preload", module, CLI, "inspect", "-"],
        env: { NO_COLOR: "1" },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const result = await ended(process);
      await process.stdin.close().catch(() => {});
      const line = "error: it �[2J broke; set BITWISE_DEBUG=1 for the stack trace\n";
      assertEquals([result.code, result.err], [1, line], fail);
    }
  }));

Deno.test("cli refuses an unknown flag, and suggests the nearest", () =>
  refuses(
    ["generate", "cat", "--cfg-scael", "2"],
    2,
    "Unknown flag --cfg-scael for generate: did you mean --cfg-scale?",
  ));

Deno.test("cli knows the flags of other tools, and says what stands in their place", async () => {
  const refused: [string[], string][] = [
    [["generate", "x", "--cfg", "2"], "Unknown flag --cfg for generate: did you mean --cfg-scale?"],
    [["generate", "x", "--out", "y"], "Unknown flag --out for generate: did you mean --output?"],
    [["generate", "x", "--steps", "20"], "the number of scales follows from the size, or from"],
    [["generate", "x", "--prompt-f", "y"], "did you mean --prompt-file?"],
    [["-v"], "Unknown flag -v: it follows a command; --version shows the version"],
  ];
  for (const [args, message] of refused) {
    const [code, text] = await says(args, fakeIo());
    assertEquals([code, text.split("\n").length], [2, 2], text);
    assertStringIncludes(text, message);
  }
});

Deno.test("cli finds models by name, and refuses what a model cannot do before it is loaded", async () => {
  await inFolder(async (cwd) => {
    const args = ["plan", "-m", "emoji-nano"];
    const { code, out } = await ended(start(args, { cwd, env: NO_GPU }));
    assertEquals(code, 0);
    assertStringIncludes(out, "emoji-nano as f32");
  });
  await refuses(["generate", "x", "-m", "2b"], 1, "; run bitwise pull 2b", NO_GPU);
  const size = ["generate", "x", "-W", "64", "-H", "64"];
  await refuses(size, 2, "emoji-nano was trained at 32x32 only", NO_GPU);
});

Deno.test("cli colours messages only where it may, and prints kernel times at BITWISE_DEBUG=2", () =>
  inFolder(async (cwd) => {
    const colour = "\x1b[1;31merror:\x1b[0m ";
    const unset = { NO_COLOR: "" };
    const line = async (...args: string[]) =>
      (await ended(start(["generate", "", ...args], { cwd, env: unset }))).err;
    assertEquals((await line("--color", "always")).slice(0, colour.length), colour);
    assertEquals((await line()).slice(0, 7), "error: ");
    const env = { BITWISE_DEBUG: "2" };
    const { code, err } = await ended(start(["generate", "red apple", "-q"], { cwd, env }));
    assertEquals(code, 0, err);
    assertMatch(err, /calls +ms +% +kernel\n( +\d+ +[\d.]+ +[\d.]+ +\w+\n)+ +[\d.]+ +all\n$/);
  }));

Deno.test("cli refuses an empty prompt", async () => {
  const message = "Cannot generate from an empty prompt: describe the image";
  await refuses(["generate", "-p", " \n"], 2, message);
  await refuses(["generate"], 2, message);
});

Deno.test("cli refuses flags that contradict each other, and counts that are too large", async () => {
  const together = "together: give one of them";
  const cases: [string[], string][] = [
    [["-n", "dog", "--negative-features", "f"], `-prompt and --negative-features ${together}`],
    [["--schedule", "1x1", "-W", "32", "-H", "32"], "schedule and width: give one of them"],
    [["--max-pixels", "9"], "--max-pixels alone: give an image with --init-img"],
    [
      ["-o", "a.png", "--trace", "./a.png"],
      'Cannot write "./a.png" twice: give each file a name of its own',
    ],
    [["-b", "999999999999999"], "--batch-count must be 1 to 32767"],
    [["-q", "-v"], `--verbose and --quiet ${together}`],
  ];
  for (const [args, message] of cases) await refuses(["generate", "cat", ...args], 2, message);
});

Deno.test("cli refuses lists of cfg and tau of the wrong length, and unknown modes", async () => {
  const wrong = "the schedule has 4 scales, give one value or 4";
  await refuses(
    ["generate", "cat", "--cfg-scale", "3,2"],
    2,
    `Cannot use 2 values of cfg scale: ${wrong}`,
  );
  await refuses(
    ["generate", "cat", "--cfg-until", "5"],
    2,
    "Cannot guide the first 5 scales: it must be a whole number from 0 to 4",
  );
  await refuses(
    ["generate", "cat", "--fast", "kv,turbo"],
    2,
    'Cannot read --fast "kv,turbo": it must be kv or prune, or both with a comma',
  );
  await refuses(["generate", "cat", "--tau", "1,1,1,1,1"], 2, `5 values of tau: ${wrong}`);
});

Deno.test("cli says what to do where there is no adapter", async () => {
  const message = DAWN
    ? "Dawn accepts no adapter of this machine: update the GPU's"
    : "Cannot find a WebGPU adapter: install the GPU's";
  await refuses(["generate", "cat"], 1, message, NO_GPU);
  await inFolder(async (cwd) => {
    const { code, out, err } = await ended(start(["doctor"], { cwd, env: NO_GPU }));
    assertEquals([code, err], [1, ""]);
    assertStringIncludes(out, `missing  ${message}`);
  });
});

Deno.test("cli doctor finds nothing missing here", () =>
  inFolder(async (cwd) => {
    const { code, out, err } = await ended(start(["doctor", "--json"], { cwd }));
    assertEquals([code, err], [0, ""]);
    assertEquals(JSON.parse(out).usable, true);
  }));

Deno.test("cli refuses an output that cannot be written, before it generates", async () => {
  await refuses(["generate", "cat", "-o", "no/such/cat.png"], 1, 'folder "no/such" does not exist');
  await refuses(["generate", "cat", "--trace", "no/t.safetensors"], 1, '"no" does not exist');
  await refuses(["generate", "cat", "-o", "."], 1, 'Cannot write ".": it is not a file');
  await inFolder(async (folder) => {
    // no mode stops root, but the kernel's own folder does
    const locked = Deno.uid() === 0 ? "/sys" : folder;
    if (locked === folder) await Deno.chmod(folder, 0o500);
    await refuses(["generate", "cat", "-o", `${locked}/cat.png`], 1, `Cannot write "${locked}/cat`);
    if (locked === folder) await Deno.chmod(folder, 0o700);
  });
});

/** Runs a test with a copy of the model in the box, to corrupt. */
function withModel(test: (model: string) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "text_encoder"));
    const files = ["config.json", "tokenizer.json", "vae.safetensors", "transformer.safetensors"];
    for (const file of [...files, "text_encoder/model.safetensors"]) {
      await Deno.copyFile(join(MODEL, file), join(folder, file));
    }
    await test(folder);
  });
}

const generateCat = (model: string) => ["generate", "cat", "-m", model];

Deno.test("cli refuses a missing, truncated or corrupt weight file", () =>
  withModel(async (model) => {
    await refuses(generateCat(`${model}/nope`), 1, "there is no such folder");
    await refuses(
      generateCat(`${model}/config.json`),
      1,
      'config.json" is not a folder; a model is',
    );
    const file = join(model, "transformer.safetensors");
    const bytes = await Deno.readFile(file);
    await Deno.truncate(file, bytes.length - 1000);
    await refuses(generateCat(model), 1, `Cannot read "${file}": `);
    await Deno.writeFile(file, bytes.fill(0xff, 20, 40));
    await refuses(generateCat(model), 1, `Cannot read "${file}": `);
    await Deno.remove(file);
    await refuses(generateCat(model), 1, `Cannot read "${file}": no such file; check the path`);
  }));

Deno.test("cli refuses weights whose shapes differ from the configuration", () =>
  withModel(async (model) => {
    const file = join(model, "config.json");
    const config = JSON.parse(await Deno.readTextFile(file));
    config.transformer.ffn_hidden = 512;
    config.transformer.mlp_ratio = 2;
    await Deno.writeTextFile(file, JSON.stringify(config));
    await refuses(
      generateCat(model),
      1,
      'ffn.fc1.weight" is [1024, 256], config.json makes it [512, 256]',
    );
    await Deno.writeTextFile(file, "{");
    await refuses(generateCat(model), 1, `Cannot read "${file}": `);
  }));

Deno.test("cli names the path of a corrupt tokenizer, and doctor finds it", () =>
  withModel(async (model) => {
    const file = join(model, "tokenizer.json");
    await Deno.writeTextFile(file, "garbage\n");
    await refuses(generateCat(model), 1, `Cannot read "${file}": it is text that begins "garbage"`);
    await Deno.writeTextFile(file, "{}");
    await refuses(generateCat(model), 1, `Cannot read "${file}": it has no "model"`);
    const { code, out } = await ended(start(["doctor", "-m", model], { cwd: model }));
    assertEquals(code, 1);
    assertStringIncludes(out, `missing  Cannot read "${file}": it has no "model"`);
  }));

Deno.test("cli refuses a VAE whose codes do not match the transformer", () =>
  withModel(async (model) => {
    const path = join(model, "vae.safetensors");
    const file = await openTensorFile(path);
    const tensors: TensorToWrite[] = [];
    for (const { name, dtype, shape } of file.tensors.values()) {
      const data = await file.read(name);
      const other = name === "decoder.conv_in.conv.weight";
      tensors.push(
        other
          ? {
            name,
            dtype,
            shape: [shape[0]!, 16, ...shape.slice(2)],
            data: data.slice(data.length / 2),
          }
          : { name, dtype, shape, data },
      );
    }
    file.close();
    await Deno.writeFile(path, encodeSafetensors(tensors));
    await refuses(
      generateCat(model),
      1,
      "its codes have 16 bits, the transformer predicts 32; use ",
    );
  }));

Deno.test("cli cuts a prompt of 10,000 words, and says so", () =>
  inFolder(async (cwd) => {
    const prompt = Array.from({ length: 10_000 }, (_, i) => i % 2 ? "red" : "apple").join(" ");
    const { code, out, said } = await ended(start(["generate", prompt], { cwd }));
    assertEquals(said, ["warning: Prompt cut to its first 64 tokens"]);
    assertEquals([code, out, filesIn(cwd)], [0, "output.png\n", ["output.png"]]);
  }));

for (
  const [when, signal, status] of [
    ["Loading ", "SIGTERM", 143],
    ["Scale 1/4", "SIGINT", 130],
  ] as const
) {
  Deno.test(`cli ends at ${signal} (at "${when}…") with ${status} and no file`, () =>
    inFolder(async (cwd) => {
      const process = start(["generate", "cat", "-b", "16", "--trace", "t.safetensors"], { cwd });
      let err = "";
      for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
        if (!err.includes(when) && (err + text).includes(when)) process.kill(signal);
        err += text;
      }
      const out = await new Response(process.stdout).text();
      const { said } = summary(0, "", err);
      assertEquals([(await process.status).code, out, said], [status, "", ["Interrupted"]], err);
      assertEquals(filesIn(cwd), []);
    }));
}
