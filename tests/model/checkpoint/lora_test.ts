import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import {
  BitwiseError,
  bytesSource,
  CheckpointError,
  encodeSafetensors,
  InputError,
  Safetensors,
} from "../../../engine/mod.ts";
import type { WeightType } from "../../../kernels/linear/weight_types.ts";
import { encodeLora, type LoraFile, readLora } from "../../../model/checkpoint/lora_file.ts";
import { addLowRank, addLowRankOnHost } from "../../../model/checkpoint/low_rank.ts";
import type { LoadOptions } from "../../../model/generate/options.ts";
import { parseParameters } from "../../../model/generate/plan/parameters.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { convert } from "../../../commands/convert.ts";
import { inFolder } from "../../commands/process.ts";
import { fakeIo } from "../../commands/fake_io.ts";
import { traced } from "../golden_model.ts";
import { device, relativeError } from "../../harness.ts";
import { random } from "../../random.ts";
import { nanoLora, SOME } from "./lora_files.ts";
import { NANO } from "../../nano.ts";

const open = (bytes: Uint8Array) =>
  Safetensors.open(bytesSource("style.safetensors", bytes as Uint8Array<ArrayBuffer>));
const lora = await nanoLora();
const PROMPT = { prompt: ["red apple", "dog face"], greedy: true, trace: true } as const;

/** Logits of all scales, and what the first image says of itself. */
async function run(folder: string | URL, options: LoadOptions) {
  using model = await InfinityModel.load(folder, { device, ...options });
  const result = await model.generate(PROMPT);
  const at = traced(result);
  const logits = [0, 1, 2, 3].flatMap((s) => at(`scale${s}.logit_delta`));
  return { logits, parameters: result.images[0]!.parameters, rgba: result.images[0]!.rgba };
}

Deno.test("readLora() reads what encodeLora() writes", async () => {
  const bytes = encodeLora(lora);
  const { hash, ...read } = await readLora(await open(bytes));
  assertEquals(read, lora);
  const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const digest = await crypto.subtle.digest("SHA-256", bytes.slice(header));
  assertEquals(hash, new Uint8Array(digest).toHex().slice(0, 12));
});

Deno.test("readLora() says what is wrong with a file", async () => {
  const pair = (A: number[], B: number[], size = 12) => [
    { name: "x.lora_A", dtype: "F32" as const, shape: A, data: new Float32Array(size) },
    { name: "x.lora_B", dtype: "F32" as const, shape: B, data: new Float32Array(size) },
  ];
  const right = { rank: "2", alpha: "2", base: "00", base_name: "m" };
  const refusal = async (tensors: Parameters<typeof encodeSafetensors>[0], metadata = {}) => {
    const bytes = encodeSafetensors(tensors, metadata);
    const error = await assertRejects(async () => readLora(await open(bytes)), CheckpointError);
    return `${error.code} ${error.message.replace(/^.*?": /, "")}`;
  };
  assertEquals(
    await refusal(pair([2, 6], [6, 2])),
    "not-lora it is not one: its metadata has no rank",
  );
  for (
    const bad of [{ rank: "0" }, { rank: "2.5" }, { alpha: "-1" }, { alpha: "x" }, { base: "" }]
  ) {
    const said = await refusal(pair([2, 6], [6, 2]), { ...right, ...bad });
    assert(said.startsWith("not-lora its metadata must have rank"), said);
  }
  assertEquals(await refusal([], right), "not-lora it holds no tensors");
  const [a] = pair([2, 6], [6, 2]);
  assertEquals(
    await refusal([a!], right),
    'not-lora tensor "x.lora_A" is not one of a pair MODULE.lora_A and MODULE.lora_B',
  );
  assertEquals(
    await refusal(pair([3, 4], [6, 2]), right),
    'wrong-shape tensor "x.lora_A" is F32 [3, 4], it must be F32 or F16 or BF16 [2, K]',
  );
  assertEquals(
    await refusal(pair([2, 6], [12]), right),
    'wrong-shape tensor "x.lora_B" is F32 [12], it must be F32 or F16 or BF16 [N, 2]',
  );
  const infinite = pair([2, 6], [6, 2]);
  infinite[1]!.data[5] = NaN;
  assertEquals(
    await refusal(infinite, right),
    'bad-value tensor "x.lora_B" holds numbers that are not finite',
  );
});

Deno.test("addLowRank() adds scale · B · A, on the GPU as on the host", async () => {
  const next = random(3);
  for (const [N, K, rank] of [[5, 8, 3], [1, 4, 1], [64, 12, 8], [9, 7, 2]] as const) {
    const draw = (n: number) => Float32Array.from({ length: n }, () => next() - 0.5);
    const w = draw(N * K);
    const pair = { A: draw(rank * K), B: draw(N * rank), shape: [N, K], scale: 0.7, rank } as const;
    const expected = Array.from(w, (value, i) => {
      const [n, k] = [Math.floor(i / K), i % K];
      let sum = value;
      for (let r = 0; r < rank; r++) sum += 0.7 * pair.B[n * rank + r]! * pair.A[r * K + k]!;
      return sum;
    });
    using y = device.from("f32", [N, K], w);
    addLowRank(device, y, pair);
    const [made] = await device.readAll([y]);
    assert(relativeError(made as Float32Array, expected) < 1e-6, `${N} ${K} ${rank}`);
    // in pieces that end within rows
    const pieces = [0, 3, N * K].map((at, i, all) => w.slice(at, all[i + 1]));
    addLowRankOnHost(pieces[0]!, 0, pair);
    addLowRankOnHost(pieces[1]!, 3, pair);
    assert(relativeError([...pieces[0]!, ...pieces[1]!], expected) < 1e-6);
  }
});

Deno.test("load() adds adapters: none at strength 0, the same as a merged model's in every type", () =>
  inFolder(async (folder) => {
    const path = join(folder, "style.safetensors");
    await Deno.writeFile(path, encodeLora(lora));
    const plain = await run(NANO, {});
    const none = await run(NANO, { lora: [{ path, strength: 0 }] });
    assertEquals(none, plain);
    const added = await run(NANO, { lora: [{ path: toFileUrl(path), strength: 0.8 }] });
    assert(relativeError(added.logits, plain.logits) > 0.02, "it must change something");
    assert(added.parameters.startsWith("red apple <lora:style:0.8>\n"), added.parameters);
    assert(!added.parameters.includes("Prompt:"), added.parameters);
    const { prompt, loras } = parseParameters(added.parameters);
    const { hash } = await readLora(await open(encodeLora(lora)));
    assertEquals([prompt, loras], ["red apple", [{ name: "style", strength: 0.8, hash }]]);
    const halves = { path, strength: 0.4 };
    const twice = await run(NANO, { lora: [halves, halves] });
    assert(relativeError(twice.logits, added.logits) < 1e-5);

    const merged = join(folder, "merged");
    const flags = ["-o", merged, "--type", "f32", "--lora", `${path}:0.8`];
    const io = fakeIo();
    assertEquals(await convert([fromFileUrl(NANO), ...flags], io), 0, io.errors());
    const types: (WeightType | undefined)[] = device.capabilities.f16
      ? [undefined, "f16", "q8_0"]
      : [undefined, "q8_0"];
    for (const type of types) {
      const once = await run(merged, { type });
      const again = await run(NANO, { type, lora: [{ path, strength: 0.8 }] });
      // sums round differently on the host, which may move a weight to the next step of its type
      const limit = type === undefined ? 1e-5 : 2e-3;
      assert(relativeError(once.logits, again.logits) < limit, `${type}`);
    }
    using model = await InfinityModel.load(merged, { device });
    assertEquals(model.config.name, "emoji-nano+style");
  }));

Deno.test("load() refuses adapters that were made for something else", () =>
  inFolder(async (folder) => {
    const path = join(folder, "style.safetensors");
    const refusal = async (change: Partial<LoraFile>) => {
      await Deno.writeFile(path, encodeLora({ ...lora, ...change }));
      const load = () => InfinityModel.load(NANO, { device, lora: [{ path }] });
      const error = await assertRejects(load, CheckpointError);
      return `${error.code} ${error.message}`;
    };
    assertEquals(
      await refusal({ base: "0123456789abcdef", baseName: "other" }),
      'another-model Cannot use LoRA "style": it was made for other weights, those of "other"',
    );
    const [first] = lora.adapters.values();
    const named = (name: string, shape: readonly [number, number]) => {
      const pair = { A: new Float32Array(3 * shape[1]), B: new Float32Array(3 * shape[0]), shape };
      return { adapters: new Map([[name, pair]]) };
    };
    assertEquals(
      await refusal(named("block_chunks.99.module.0.sa.proj.weight", first!.shape)),
      'another-model Cannot use LoRA "style": emoji-nano has no matrix ' +
        '"block_chunks.99.module.0.sa.proj.weight"',
    );
    assertEquals(
      await refusal(named("shared.weight", [3144, 256])),
      'another-model Cannot use LoRA "style": emoji-nano has no matrix "shared.weight"',
    );
    assertEquals(
      await refusal(named("head.weight", [32, 256])),
      'wrong-shape Cannot use LoRA "style": its adapter of "head.weight" is for [32, 256], in ' +
        "emoji-nano it is [64, 256]",
    );
  }));

Deno.test("convert adds adapters to a file, and refuses those of another", () =>
  inFolder(async (folder) => {
    const path = join(folder, "style.safetensors");
    await Deno.writeFile(path, encodeLora(lora));
    const from = fromFileUrl(new URL("text_encoder/model.safetensors", NANO));
    const to = join(folder, "made.safetensors");
    const io = fakeIo();
    assertEquals(await convert([from, "-o", to, "--lora", path], io), 0);
    const [name] = Object.keys(SOME).filter((name) => name.startsWith("encoder."));
    const values = async (file: string) => {
      const tensors = await Safetensors.open(bytesSource(file, await Deno.readFile(file)));
      return { dtype: tensors.get(name!).dtype, values: await tensors.readFloat32(name!) };
    };
    const [before, after] = [await values(from), await values(to)];
    assertEquals([before.dtype, after.dtype], ["F16", "F16"]);
    const { A, B, shape } = lora.adapters.get(name!)!;
    addLowRankOnHost(before.values, 0, { A, B, shape, rank: 3, scale: 2 });
    assertEquals(after.values, new Float32Array(new Float16Array(before.values)));

    const vae = fromFileUrl(new URL("vae.safetensors", NANO));
    const error = await assertRejects(
      () => convert([vae, "-o", to, "--lora", path], fakeIo()),
      CheckpointError,
    );
    assertEquals(error.code, "another-model");
  }));

Deno.test("load() refuses what is not the path or URL of a file of adapters", async () => {
  for (const path of ["http://", "file:///%ff", new URL("data:,x"), "file://host/x", "no/such"]) {
    const load = () => InfinityModel.load(NANO, { device, lora: [{ path }] });
    const { message } = await assertRejects(load, BitwiseError);
    assert(/^Cannot (load LoRA|read) "/.test(message), message);
  }
  for (const bad of [{ path: "" }, { path: 3 }, { path: "x", strength: NaN }, { file: "x" }, "x"]) {
    const lora = [bad] as unknown as LoadOptions["lora"];
    const load = () => InfinityModel.load(NANO, { device, lora });
    assertEquals((await assertRejects(load, InputError)).code, "bad-type");
  }
});
