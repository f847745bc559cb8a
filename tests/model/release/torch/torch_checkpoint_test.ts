import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type ByteSource, bytesSource, CheckpointError } from "../../../../engine/mod.ts";
import { checkpointRoot } from "../../../../model/release/checkpoint_root.ts";
import { openTorchCheckpoint } from "../../../../model/release/torch/torch_checkpoint.ts";
import {
  type Code,
  legacyPth,
  parameter,
  persistent,
  pth,
  py,
  storage,
  tensor,
} from "./torch_files.ts";

const open = (bytes: Uint8Array) => openTorchCheckpoint(bytesSource("x.pth", bytes));
const s = storage("0", "Float", Float32Array.from({ length: 12 }, (_, i) => i));
const one = tensor(s, [1]);

for (const [format, write] of [["zip", pth], ["legacy", legacyPth]] as const) {
  Deno.test(`openTorchCheckpoint() reads all number types (${format})`, async () => {
    const types = {
      Float: ["F32", new Float32Array([1.5, -2])],
      Half: ["F16", new Float16Array([1.5, -2])],
      BFloat16: ["BF16", new Uint16Array([0x3fc0, 0xc000])],
      Double: ["F64", new Float64Array([1.5, -2])],
      Long: ["I64", new BigInt64Array([1n, -2n])],
      Int: ["I32", new Int32Array([1, -2])],
      Short: ["I16", new Int16Array([1, -2])],
      Char: ["I8", new Int8Array([1, -2])],
      Byte: ["U8", new Uint8Array([1, 2])],
      Bool: ["BOOL", new Uint8Array([1, 0])],
    } as const;
    const storages = Object.entries(types).map(([type, [, data]], i) =>
      storage(`${i}`, type, data)
    );
    const value = py.dict(Object.fromEntries(storages.map((s) => [s.type, tensor(s, [2])])));
    const file = await open(write(value, storages));
    for (const [type, [dtype, data]] of Object.entries(types)) {
      assertEquals(file.get(type).dtype, dtype);
      assertEquals(await file.read(type), data);
    }
    assertEquals([...await file.readFloat32("BFloat16")], [1.5, -2]);
  });

  Deno.test(`openTorchCheckpoint() reads views of a shared storage (${format})`, async () => {
    const file = await open(write(
      py.ordered({
        whole: tensor(s, [3, 4]),
        transposed: parameter(tensor(s, [4, 3], { strides: [1, 4] })),
        expanded: tensor(s, [3, 2], { strides: [0, 1], offset: 5 }),
        part: tensor(s, [2], { offset: 10 }),
        scalar: tensor(s, [], { offset: 7 }),
        empty: tensor(s, [0, 4], { offset: 12 }),
      }),
      [s],
    ));
    const values = async (name: string) => [...await file.readFloat32(name)];
    assertEquals(await values("whole"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assertEquals(await values("transposed"), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    assertEquals(await values("expanded"), [5, 6, 5, 6, 5, 6]);
    assertEquals(await values("part"), [10, 11]);
    assertEquals(await values("scalar"), [7]);
    assertEquals(await values("empty"), []);
    assertEquals([...file.tensors.keys()].length, 6);
    const chunks = await Array.fromAsync(file.chunks("transposed", 8));
    assertEquals(chunks.map(({ offset }) => offset), [0, 8, 16, 24, 32, 40]);
    assertEquals(new Float32Array(chunks[1]!.bytes.buffer), new Float32Array([8, 1]));
  });
}

Deno.test("openTorchCheckpoint() names nested tensors and skips other values", async () => {
  const plain = py.call("argparse", "Namespace");
  const file = await open(pth(
    py.dict({
      args: [...plain, ...py.dict({ lr: py.int(-1), hidden: one }), ...py.code("b")],
      epoch: py.int(2 ** 40),
      size: py.call("torch", "Size", py.tuple(py.int(1))),
      on: py.call("torch", "device", py.text("cuda")),
      type: py.global("torch", "float16"),
      raw: py.call("_codecs", "encode", py.text("\xff"), py.text("latin1")),
      trainer: py.dict({
        gpt_fsdp: py.ordered({ "head.weight": one }),
        opt: py.list(py.none, one),
      }),
      pair: py.tuple(one, py.tuple()),
    }),
    [s],
  ));
  const names = ["trainer.gpt_fsdp.head.weight", "trainer.opt.1", "pair.0"];
  assertEquals([...file.tensors.keys()], names);
  assertThrows(
    () => file.get("nope"),
    CheckpointError,
    'Cannot read "x.pth": it has no tensor "nope"',
  );
  assertEquals([...(await open(pth(one, [s]))).tensors.keys()], ["tensor"]);
});

Deno.test("openTorchCheckpoint() reads memo, protocol 4 and views of old files", async () => {
  const four = new Uint8Array([
    ...[0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0],
    ...py.code("}("),
    ...[0x8c, 1, 0x61], // a: an OrderedDict by STACK_GLOBAL, memo 0
    ...[...py.text("collections"), ...py.text("OrderedDict"), 0x93, ...py.code(")R"), 0x94],
    ...[0x8c, 1, 0x62], // b: a tensor, memo 1
    ...[...one, 0x94],
    ...[0x8c, 1, 0x63], // c: the same
    ...py.code("h\x01u."),
  ]);
  const found = await open(pth(four, [s]));
  assertEquals([...found.tensors.keys()], ["b", "c"]);

  const view = [py.tuple(py.text("9"), py.int(4), py.int(3))];
  const file = await open(legacyPth(tensor(s, [2], { offset: 1, view }), [s]));
  assertEquals([...await file.readFloat32("tensor")], [5, 6]);
  const beyond = [py.tuple(py.text("9"), py.int(4), py.int(9))];
  const bad = legacyPth([...persistent(s, beyond)], [s]);
  await assertRejects(() => open(bad), CheckpointError, "is not a reference to a storage");
});

Deno.test("openTorchCheckpoint() refuses two tensors of one name, and closes the file", async () => {
  let closed = 0;
  const source = (value: Code): ByteSource => ({
    ...bytesSource("x.pth", pth(value, [s])),
    close: () => void closed++,
  });
  const twice = py.dict({ "a.b": one, a: py.dict({ b: one }) });
  const refused = openTorchCheckpoint(source(twice));
  await assertRejects(() => refused, CheckpointError, 'two tensors are named "a.b"');
  assertEquals(closed, 1);
  (await openTorchCheckpoint(source(one))).close();
  assertEquals(closed, 2);
});

const gpt = { "word_embed.weight": one, cfg_uncond: one, "head.weight": one, lvl_1L: one };
const vae = { "decoder.conv_in.conv.weight": one };
const roots: [Code, string, string, number][] = [
  [
    py.dict({ trainer: py.dict({ gpt_fsdp: py.ordered(gpt), gpt_ema_fsdp: py.ordered(gpt) }) }),
    "transformer",
    "trainer.gpt_fsdp",
    3,
  ],
  [
    py.dict({ trainer: py.dict({ vae_local: py.ordered(vae), gpt_wo_ddp: py.ordered(gpt) }) }),
    "transformer",
    "trainer.gpt_wo_ddp",
    3,
  ],
  [py.dict({ gpt_fsdp: py.ordered(gpt) }), "transformer", "gpt_fsdp", 3],
  [py.dict({ model: py.ordered(gpt) }), "transformer", "model", 3],
  [py.ordered(gpt), "transformer", "", 3],
  [
    py.dict({ ema: py.ordered(vae), vae: py.ordered(vae), disc: py.ordered({ x: one }) }),
    "vae",
    "vae",
    1,
  ],
  [py.dict({ ema: py.ordered(vae) }), "vae", "ema", 1],
  [py.ordered({ "decoder.conv_in.weight": one }), "vae", "", 1],
  [py.ordered({ "shared.weight": one, lvl_1L: one }), "unknown", "", 2],
];

for (const [value, model, key, count] of roots) {
  Deno.test(`checkpointRoot() finds the ${model} below "${key}"`, async () => {
    const root = checkpointRoot(await open(pth(value, [s])));
    assertEquals([root.model, root.key, root.tensors.size], [model, key, count]);
    if (model === "transformer") assertEquals(root.dropped, ["lvl_1L"]);
    for (const name of root.tensors.keys()) assert(!name.startsWith("trainer"));
  });
}

Deno.test("checkpointRoot() takes a key, and lists the keys that exist", async () => {
  const file = await open(pth(roots[0]![0], [s]));
  const root = checkpointRoot(file, "trainer.gpt_ema_fsdp");
  assertEquals([...root.tensors.keys()], ["word_embed.weight", "cfg_uncond", "head.weight"]);
  assertEquals(root.tensors.get("cfg_uncond")?.name, "trainer.gpt_ema_fsdp.cfg_uncond");
  assertThrows(
    () => checkpointRoot(file, "trainer.gpt"),
    CheckpointError,
    'Cannot convert "x.pth": it has no tensors below "trainer.gpt"; there are "trainer", ' +
      '"trainer.gpt_fsdp", "trainer.gpt_ema_fsdp"',
  );
});
