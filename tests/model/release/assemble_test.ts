import { assert, assertEquals, assertRejects } from "@std/assert";
import { dirname, join } from "@std/path";
import { BitwiseError, FileError, InputError } from "../../../engine/mod.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { TEXT_ENCODER } from "../../../model/config/presets.ts";
import { assembleFolder } from "../../../model/release/assemble.ts";
import { presetOf } from "../../../model/release/find_release.ts";
import { filesIn, inFolder } from "../../commands/process.ts";
import { encode, sharded, TINY } from "./tiny_release.ts";
import { pth, py, storage, tensor } from "./torch/torch_files.ts";

const config = parseConfig(TINY.config, "tiny");
const TRANSFORMER = [...parameterShapes(config.transformer)];
const VAE = [...vaeShapes(config.vae)];
const T5: NamedShape[] = [...t5Shapes(config.text_encoder!), ["decoder.final_layer_norm.weight", [
  128,
]], ["lm_head.weight", [8, 128]]];

async function write(folder: string, files: Record<string, Uint8Array | string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(path, bytes);
  }
}

/** The VAE in the form in which it is published. */
function vaePth(): Uint8Array<ArrayBuffer> {
  const storages = VAE.map(([, shape], i) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(i / 8);
    return storage(`${i}`, "Float", data);
  });
  const tensors = VAE.map(([name, shape], i) => [name, tensor(storages[i]!, shape)]);
  return pth(py.dict({ vae: py.ordered(Object.fromEntries(tensors)) }), storages);
}

const TEXT = {
  ...sharded("flan-t5-xl/model.safetensors.index.json", T5),
  "flan-t5-xl/tokenizer.json": '{"version":"1.0"}',
};
const RELEASE: Record<string, Uint8Array | string> = {
  ...sharded(TINY.file!, TRANSFORMER),
  "infinity_vae_d16.pth": vaePth(),
  ...TEXT,
};

/** RELEASE without some files and with others. */
function changed(
  drop: RegExp,
  add: Record<string, Uint8Array | string> = {},
): Record<string, Uint8Array | string> {
  return {
    ...Object.fromEntries(Object.entries(RELEASE).filter(([name]) => !drop.test(name))),
    ...add,
  };
}

Deno.test("assembleFolder() makes a model folder from a release", () =>
  inFolder(async (folder) => {
    const [from, to] = [join(folder, "weights"), join(folder, "model")];
    await write(from, { ...RELEASE, "README.md": "x", ".cache/infinity_vae_d16.pth": "broken" });
    const seen = new Set<string>();
    const { files } = await assembleFolder(from, to, TINY, {
      type: "f16",
      onProgress: ({ file }) => seen.add(file),
    });
    assertEquals(filesIn(folder), ["model", "weights"]);
    assertEquals(filesIn(to), [
      "config.json",
      "infinity_vae_d16.safetensors",
      "text_encoder",
      "tokenizer.json",
      "transformer.safetensors",
    ]);
    const names = files.map(({ name }) => name);
    assertEquals(names, [
      "infinity_vae_d16.safetensors",
      "transformer.safetensors",
      "text_encoder/model.safetensors",
    ]);
    assertEquals([...seen], names);
    const made = parseConfig(JSON.parse(await Deno.readTextFile(join(to, "config.json"))), "x");
    assertEquals(made, config);
    assertEquals(await Deno.readTextFile(join(to, "tokenizer.json")), '{"version":"1.0"}');
    const expected = [VAE, TRANSFORMER, T5.filter(([name]) => !/^(decoder|lm_head)/.test(name))];
    for (const [i, { name, tensors, bytes }] of files.entries()) {
      const file = await openTensorFile(join(to, name));
      assertEquals([...file.tensors.keys()].sort(), expected[i]!.map(([name]) => name).sort());
      assertEquals([tensors, bytes], [file.tensors.size, (await Deno.stat(join(to, name))).size]);
      const matrix = expected[i]!.findIndex(([, shape]) => shape.filter((n) => n > 1).length > 1);
      const [first, shape] = expected[i]![matrix]!;
      assertEquals([file.get(first).dtype, file.get(first).shape], ["F16", shape]);
      file.close();
    }
  }));

Deno.test("assembleFolder() finds files in a hub's cache, and weights under another name", () =>
  inFolder(async (folder) => {
    const hub = join(folder, "hub");
    const [model, t5] = ["models--FoundationVision--Infinity", "models--google--flan-t5-xl"];
    await write(hub, { [`${model}/blobs/1`]: encode(VAE) });
    const snapshot = `${model}/snapshots/d4c1577`;
    for (const [name, content] of Object.entries(changed(/vae/))) {
      const at = name.startsWith("flan")
        ? `${t5}/snapshots/7d6315d/${name.slice("flan-t5-xl/".length)}`
        : `${snapshot}/${name}`;
      await write(hub, { [at]: content });
    }
    await Deno.symlink("../../blobs/1", join(hub, snapshot, "infinity_vae_d16.safetensors"));
    await assembleFolder(hub, join(folder, "a"), TINY);
    assertEquals(filesIn(join(folder, "a")).length, 5);

    const own = join(folder, "own");
    await write(
      own,
      changed(/tiny_weights|vae/, {
        "ar-ckpt.safetensors": encode(TRANSFORMER),
        "my_vae.safetensors": encode(VAE),
      }),
    );
    await assembleFolder(own, join(folder, "b"), TINY);
    // a VAE that may not be the official one gets no official name
    assertEquals(filesIn(join(folder, "b")), [
      "config.json",
      "text_encoder",
      "tokenizer.json",
      "transformer.safetensors",
      "vae.safetensors",
    ]);
  }));

const POINTER = "version https://git-lfs.github.com/spec/v1\n";

Deno.test("assembleFolder() refuses in one line and leaves nothing", async () => {
  const hub = "see huggingface.co/FoundationVision/Infinity";
  const cases: [Record<string, Uint8Array | string>, string, string][] = [
    [changed(/tiny_weights/), "file-missing", `it lacks ${TINY.file}; ${hub}`],
    [changed(/vae/), "file-missing", `it lacks infinity_vae_d16.pth; ${hub}`],
    [
      changed(/flan/),
      "file-missing",
      `it lacks tokenizer.json and ${TEXT_ENCODER.weights} of google/flan-t5-xl; ` +
      "see huggingface.co/google/flan-t5-xl",
    ],
    [changed(/tokenizer/), "file-missing", "it lacks tokenizer.json and"],
    [
      changed(/tokenizer/, { "t5/tokenizer.json": POINTER, "t5/model.safetensors": encode(T5) }),
      "bad-json",
      "it is a Git LFS pointer, not the file; run git lfs pull",
    ],
    [
      changed(/vae/, { "infinity_vae_d16.pth": POINTER }),
      "not-a-checkpoint",
      "it is a Git LFS pointer, not the file; run git lfs pull",
    ],
    [changed(/./), "file-missing", `it lacks ${TINY.file}, infinity_vae_d16.pth, tokenizer.json`],
    [
      changed(/vae/, { "infinity_vae_d32.pth": "" }),
      "wrong-vae",
      "its VAEs are infinity_vae_d32.pth, tiny needs infinity_vae_d16.pth of huggingface.co/",
    ],
    [
      changed(/tiny_weights/, { "a.pth": "", "b.pth": "" }),
      "ambiguous",
      "any of a.pth, b.pth may be the transformer",
    ],
    [
      changed(/vae/, { "infinity_vae_d16.safetensors": encode(TRANSFORMER) }),
      "another-model",
      "it looks like an Infinity transformer, not a VAE",
    ],
    [
      changed(/tiny_weights/, { "t.safetensors": encode(TRANSFORMER.slice(1)) }),
      "missing-tensor",
      '1 tensor missing: "cfg_uncond"',
    ],
    [changed(/tiny_weights.*2-of/), "", "model-00002-of-00002.safetensors"],
  ];
  for (const [files, code, message] of cases) {
    await inFolder(async (folder) => {
      await write(join(folder, "weights"), files);
      await Deno.mkdir(join(folder, "weights"), { recursive: true });
      const error = await assertRejects(() =>
        assembleFolder(join(folder, "weights"), join(folder, "model"), TINY)
      );
      assert(error instanceof BitwiseError, `${error}`);
      if (code) assertEquals(error.code, code, error.message);
      assert(error.message.includes(message), error.message);
      assert(!error.message.includes("\n"), error.message);
      assertEquals(filesIn(folder), ["weights"]);
    });
  }
});

Deno.test("assembleFolder() never overwrites, and removes its work if it fails", () =>
  inFolder(async (folder) => {
    const from = join(folder, "weights");
    await write(from, RELEASE);
    await write(folder, { "full/x": "x", "file": "x" });
    await Deno.mkdir(join(folder, "empty"));
    const refusal = async (to: string, options = {}) =>
      (await assertRejects(() => assembleFolder(from, join(folder, to), TINY, options))) as Error;
    for (const [to, why] of [["full", 'it already contains "x"'], ["file", "it is a file"]]) {
      const error = await refusal(to!);
      assert(error instanceof FileError && error.message.includes(why!), error.message);
    }
    assert((await refusal("no/model")).message.includes("does not exist; create it first"));
    const within = await refusal("file/model");
    assert(within instanceof FileError && within.code === "folder-missing", `${within}`);
    assert(!/os error|\.tmp/.test(within.message), within.message);
    const before = filesIn(folder);
    const controller = new AbortController();
    const onProgress = ({ file }: { file: string }) => {
      if (file.startsWith("text")) controller.abort();
    };
    const { name } = await refusal("model", { signal: controller.signal, onProgress });
    assertEquals(name, "AbortError");
    assertEquals(filesIn(folder), before);
    await assembleFolder(from, join(folder, "empty"), TINY);
    assertEquals(filesIn(join(folder, "empty")).length, 5);
  }));

Deno.test("presetOf() recognises published models by their files", () =>
  inFolder(async (folder) => {
    const none = await assertRejects(() => presetOf(folder), InputError);
    assert(none.message.endsWith("no file in it has the name of a published model"), none.message);
    assertEquals(none.hint, "choose-preset");
    await write(folder, { "weights/infinity_2b_reg.pth": "" });
    assertEquals((await presetOf(folder)).name, "infinity-2b");
    await write(folder, { "infinity_8b_512x512_weights/model.safetensors.index.json": "" });
    const two = await assertRejects(() => presetOf(folder), InputError);
    assert(two.message.endsWith("it holds infinity-2b and infinity-8b-512"), two.message);
    await assertRejects(() => presetOf(join(folder, "x")), FileError, "no such folder");
  }));
