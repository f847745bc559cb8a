// Nothing that a terminal obeys reaches stdout or stderr, whatever text files, names and replies hold.
import "../backend.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { encodeSafetensors, printableLines } from "../../engine/mod.ts";
import { encodeBitsFile } from "../../model/bits/bits_file.ts";
import { encodePng } from "../../model/image/png.ts";
import { chunk } from "../../model/image/png/chunks.ts";
import { MockHub } from "../model/release/hub/mock_hub.ts";
import { tinyRepositories } from "../model/release/tiny_release.ts";
import { pth, py, storage, tensor } from "../model/release/torch/torch_files.ts";
import { ended, fakeIo, inFolder, MODEL, start, withoutAdapter } from "./process.ts";

/** Clears the screen, sets the window's title, turns the text red by C1, reverses it, and ends it with half a pair. */
const EVIL = "\x1b[2J\x1b]0;pwn\x07\x9b31m\x7f\u202e\u2066\u2028";
/** The part of it that may be printed. */
const SEEN = "pwn";
/** The sequences of our own: colours, and the start of an empty line. */
// deno-lint-ignore no-control-regex -- that is the point
const OURS = /\x1b\[1;3[13]m(?:error|warning):\x1b\[0m|\r\x1b\[K/g;

/** Runs a command on a terminal with colours, and asserts that it printed nothing that a terminal obeys. */
async function printed(
  args: readonly string[],
  stdin?: Uint8Array<ArrayBuffer>,
): Promise<[string, number]> {
  const io = { ...fakeIo(stdin), errIsTerminal: true };
  io.style.colour = true;
  const code = await main(args, io, (name) => name === "BITWISE_DEBUG" ? "1" : undefined);
  const text = io.text() + io.errors();
  const rest = text.replace(OURS, "");
  assertEquals(rest, printableLines(rest), `bitwise ${args.join(" ")}`);
  return [text, code];
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const pixel = Uint8Array.of(255, 0, 0, 255);
const png = (text: Record<string, string>) => encodePng(pixel, 1, 1, text);
const bits = {
  width: 32,
  height: 32,
  d: 32,
  latent: [2, 2] as [number, number],
  schedule: [[1, 1], [2, 2]] as [number, number][],
  scales: [new Uint8Array(32), new Uint8Array(128)],
};

/** A PNG with a chunk before its pixels. */
function pngWith(type: string): Uint8Array {
  const file = png({});
  const made = chunk(type, Buffer.from("x"));
  return new Uint8Array([...file.subarray(0, 33), ...made, ...file.subarray(33)]);
}

function safetensors(header: unknown, data = new Uint8Array(4)): Uint8Array {
  const text = json(header);
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

const scalar = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
const numbers = storage("0", "Float", Float32Array.of(1));

/** Files whose contents are hostile, by their names. */
const FILES: Readonly<Record<string, Uint8Array>> = {
  "text.png": png({ parameters: EVIL, [`key${SEEN}`]: `${EVIL}\n${EVIL}` }),
  "latin1.png": new Uint8Array([
    ...png({}).subarray(0, -12),
    ...chunk("tEXt", Buffer.from(`${EVIL.slice(0, -3)}\0\x1b[2Jpwn\x9b`, "latin1")),
    ...png({}).subarray(-12),
  ]),
  "chunk.png": pngWith("ab\x1b["),
  "critical.png": pngWith("\x1b[2J"),
  "names.safetensors": encodeSafetensors([{
    name: `a${EVIL}`,
    dtype: "F32",
    shape: [1],
    data: Float32Array.of(1),
  }], { [`key${EVIL}`]: EVIL }),
  "dtype.safetensors": safetensors({ [EVIL]: { ...scalar, dtype: EVIL } }),
  "hole.safetensors": safetensors({ [EVIL]: { ...scalar, data_offsets: [0, 2] } }),
  "metadata.safetensors": safetensors({ __metadata__: { [EVIL]: [EVIL] }, a: scalar }),
  "key.safetensors": safetensors({ a: { ...scalar, [EVIL]: EVIL } }),
  "syntax.safetensors": safetensors(EVIL),
  "bits.safetensors": encodeBitsFile({ ...bits, model: EVIL }),
  "schedule.safetensors": encodeSafetensors([
    { name: "bits", dtype: "U8", shape: [20], data: new Uint8Array(20) },
  ], { format: "bitwise-bits-1", d: EVIL, size: EVIL, latent: EVIL, schedule: EVIL }),
  "garbage.png": new TextEncoder().encode(EVIL),
  "page.safetensors": new TextEncoder().encode(`<!doctype html><title>${EVIL}</title>`),
  "pointer.safetensors": new TextEncoder().encode(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${EVIL}\nsize 1\n`,
  ),
  "names.pth": pth(py.dict({ [EVIL]: tensor(numbers, [1]) }), [numbers]),
  "global.pth": pth(py.call(EVIL, EVIL), []),
};

/** Commands that read a file, as far as its name. */
const READERS: readonly (readonly string[])[] = [
  ["inspect"],
  ["inspect", "--json"],
  ["encode", "-o", "x.safetensors"],
  ["decode", "-o", "x.png"],
  ["reconstruct", "-o", "x.png"],
  ["variations", "-o", "x.png", "-b", "1"],
  ["analyze"],
  ["train", "tokenizer", "-o", "x.model"],
  ["generate", "red apple", "-o", "x.png", "--lora"],
  ["convert", "-o", "x.safetensors"],
  ["generate", "red apple", "--text-features"],
  ["generate", "red apple", "--force-bits"],
  ["generate", "-o", "x.png", "--prompt-file"],
  ["generate", "red apple", "-o", "x.png", "-i"],
];

Deno.test("no command prints control characters of the files that it reads", () =>
  withoutAdapter(() =>
    inFolder(async (folder) => {
      let seen = 0;
      for (const [name, bytes] of Object.entries(FILES)) {
        const path = join(folder, name);
        await Deno.writeFile(path, bytes);
        for (const [command, ...flags] of READERS) {
          const args = [
            command!,
            ...flags.map((flag) => /^x\./.test(flag) ? join(folder, flag) : flag),
          ];
          const [text] = await printed([
            ...args,
            path,
            ...flags.includes("-o") ? ["--overwrite"] : [],
          ]);
          if (text.includes(SEEN)) seen++;
        }
        const [text] = await printed(["inspect", "-"], bytes.slice());
        if (text.includes(SEEN)) seen++;
      }
      // the text was there to be printed
      assert(seen > 20, `${seen} outputs showed what a file holds`);
    })
  ));

Deno.test("inspect --json stays valid JSON that means the same", () =>
  inFolder(async (folder) => {
    const path = join(folder, "text.png");
    await Deno.writeFile(path, FILES["text.png"]!);
    const io = fakeIo();
    assertEquals(await main(["inspect", "--json", path], io), 0);
    assertEquals(JSON.parse(io.text()).text.parameters, EVIL);
    assertEquals(io.text(), printableLines(io.text()));
  }));

/** What a value in a model folder's files is replaced by. */
const CONFIGS: readonly ((config: Record<string, unknown>) => unknown)[] = [
  (config) => ({ ...config, name: EVIL }),
  (config) => ({ ...config, [EVIL]: 1 }),
  (config) => ({ ...config, files: { transformer: EVIL } }),
  (config) => ({ ...config, transformer: EVIL }),
  (config) => ({ ...config, transformer: { ...config.transformer as object, depth: EVIL } }),
  (config) => ({ ...config, scale_schedule: EVIL }),
  (config) => ({ ...config, pixel_budgets: [EVIL] }),
  () => EVIL,
];

Deno.test("no command prints control characters of a model's configuration or tokenizer", () =>
  inFolder(async (folder) => {
    const model = join(folder, "model");
    await Deno.mkdir(join(model, "text_encoder"), { recursive: true });
    for (
      const name of ["vae.safetensors", "transformer.safetensors", "text_encoder/model.safetensors"]
    ) {
      await Deno.symlink(join(MODEL, name), join(model, name));
    }
    const read = async (name: string) => JSON.parse(await Deno.readTextFile(join(MODEL, name)));
    const config = await read("config.json");
    const tokenizer = await read("tokenizer.json");
    const seen: string[] = [];
    const all = async (given: unknown, words: unknown) => {
      await Deno.writeFile(join(model, "config.json"), json(given));
      await Deno.writeFile(join(model, "tokenizer.json"), json(words));
      const prompt = ["generate", "red apple", "-o", join(folder, "x.png"), "--overwrite"];
      for (
        const command of [["inspect"], ["doctor", "-m"], ["plan", "-m"], [...prompt, "-v", "-m"]]
      ) {
        const [text] = await printed([...command, model]);
        if (text.includes(SEEN)) seen.push(command[0]!);
      }
    };
    for (const change of CONFIGS) await all(change(config), tokenizer);
    const { model: unigram } = tokenizer;
    await all(config, { ...tokenizer, model: { ...unigram, type: EVIL } });
    await all(config, {
      ...tokenizer,
      model: { ...unigram, vocab: [[EVIL, EVIL], ...unigram.vocab] },
    });
    await all(config, { ...tokenizer, normalizer: { type: EVIL } });
    await all(config, { ...tokenizer, post_processor: { type: EVIL } });
    await all(config, EVIL);
    await Deno.writeTextFile(join(model, "config.json"), `{ ${EVIL}`);
    await printed(["inspect", model]);
    assert(seen.length > 10, `${seen.length} outputs showed what a file holds`);
  }));

/** Each command, with a name in the place of `~`. */
const NAMED: readonly (readonly string[])[] = [
  ["~"],
  ["-~"],
  ["--~"],
  ["help", "~"],
  ["generate", "--~", "x"],
  ["generate", "-~"],
  ["generate", "cat", "-o", "~/a.png"],
  ["generate", "cat", "-m", "~"],
  ["generate", "cat", "--synthetic", "~"],
  ["generate", "cat", "--seed", "~"],
  ["generate", "cat", "--schedule", "~"],
  ["generate", "cat", "--type", "~"],
  ["generate", "cat", "--gpu", "~"],
  ["generate", "cat", "-i", "~"],
  ["generate", "cat", "--mask", "~"],
  ["generate", "cat", "--trace", "~/t.safetensors"],
  ["generate", "cat", "--preview", "~/a/b"],
  ["generate", "cat", "--animate", "~/a.png"],
  ["generate", "@~"],
  ["generate", "--prompt-file", "~"],
  ["generate", "--prompt", "a", "~"],
  ["demo", "-o", "~/a.png"],
  ["demo", "~"],
  ["encode", "~"],
  ["decode", "~"],
  ["reconstruct", "~"],
  ["variations", "~"],
  ["interpolate", "~", "~"],
  ["analyze", "~", "~"],
  ["analyze", "--flips", "~"],
  ["inspect", "~"],
  ["inspect", "~.png", "--sheet", "~"],
  ["convert", "~", "-o", "no/x.safetensors"],
  ["convert", "~", "-o", "~"],
  ["pull", "~"],
  ["plan", "-m", "~"],
  ["plan", "--max-vram", "~"],
  ["doctor", "-m", "~"],
  ["completions", "~"],
];

Deno.test("no command prints control characters of its arguments", async () => {
  let seen = 0;
  for (const args of NAMED) {
    const given = args.map((arg) => arg.replace("~", () => EVIL));
    const [text, code] = await printed(given);
    assert(code > 0, `${args.join(" ")}: ${text}`);
    if (text.includes(SEEN)) seen++;
  }
  assert(seen > 30, `${seen} outputs showed the argument`);
});

Deno.test("what succeeds prints no control characters either", () =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.writeFile(at(`${EVIL}.png`), png({ parameters: EVIL }));
    const made = at(`made${EVIL}`);
    const commands = [
      [
        "generate",
        `red apple ${EVIL}`,
        "-v",
        "-o",
        `${made}.png`,
        "--trace",
        `${made}.safetensors`,
      ],
      ["generate", `red apple ${EVIL}`, "--json", "-o", `${made}.png`],
      ["encode", at(`${EVIL}.png`), "-o", `${made}.bits.safetensors`],
      ["decode", `${made}.bits.safetensors`, "-o", `${made}-2.png`],
      ["reconstruct", at(`${EVIL}.png`), "-o", `${made}-3.png`, "--json"],
      ["variations", `${made}.png`, "-b", "1", "-o", `${made}-4.png`, "-v"],
      ["inspect", `${made}.png`],
      ["inspect", `${made}.safetensors`],
      ["inspect", `${made}.bits.safetensors`],
      ["analyze", `${made}.bits.safetensors`, "--trials", "1", "--json"],
    ];
    for (const args of commands) {
      const [text, code] = await printed(args);
      assertEquals(code, 0, text);
      if (!args.includes("--json")) assertStringIncludes(text, SEEN);
      else JSON.parse(text.replace(OURS, "").split("\n").find((line) => line.startsWith("{"))!);
    }
  }));

/** A server that answers everything with the same bytes. */
function rawServer(answer: string): AsyncDisposable & { readonly endpoint: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096));
      await connection.write(Uint8Array.from(answer, (c) => c.charCodeAt(0)));
      connection.close();
    }
  };
  const served = serve();
  return {
    endpoint: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
    },
  };
}

Deno.test("pull prints no control characters of a hub or the environment", () =>
  inFolder(async (folder) => {
    await using hub = new MockHub(tinyRepositories());
    const pull = async (env: Record<string, string>) => {
      const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
      for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
      const [text, code] = await printed(["pull", "2b", "-o", join(folder, "made")]);
      for (const [name, value] of before) {
        value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
      }
      assert(code > 0, text);
    };
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, "hf") };
    const answers = [
      () => new Response(EVIL, { status: 500, statusText: "no pwn" }),
      () => new Response(JSON.stringify({ error: EVIL }), { status: 404 }),
      () => new Response(null, { status: 302, headers: { location: "http://pwn.invalid/%1b%9b" } }),
      () => new Response(EVIL),
      () => Response.json({ sha: EVIL, siblings: [{ rfilename: EVIL }] }),
      () => Response.json([{ type: "file", path: EVIL, size: 1, oid: EVIL }]),
    ];
    for (const answer of answers) {
      hub.answer = answer;
      await pull(env);
    }
    hub.answer = undefined;
    await using raw = rawServer("HTTP/1.1 500 no\x9bpwn\r\nx-error-message: \x9bpwn\r\n\r\n\x9b");
    await pull({ ...env, HF_ENDPOINT: raw.endpoint });
    await pull({ ...env, HF_ENDPOINT: EVIL });
    await pull({ ...env, HF_ENDPOINT: `http://127.0.0.1:1/${EVIL}` });
    await pull({ ...env, HF_HOME: `/dev/null/${EVIL}`, HF_TOKEN: EVIL });
  }));

Deno.test("the process prints no control characters, with a stack trace as well", () =>
  inFolder(async (cwd) => {
    await Deno.writeFile(join(cwd, "text.png"), FILES["text.png"]!);
    const shown = await ended(start(["inspect", "text.png"], { cwd }));
    assertStringIncludes(shown.out, `parameters:\n�[2J�]0;pwn�`);
    assertEquals(shown.out, printableLines(shown.out));
    const env = { BITWISE_DEBUG: "1" };
    const { err, code } = await ended(start(["inspect", `${EVIL}.png`], { cwd, env }));
    assertEquals([code, err], [1, printableLines(err)]);
    assertStringIncludes(err, "    at ");
    assertStringIncludes(err, SEEN);
  }));
