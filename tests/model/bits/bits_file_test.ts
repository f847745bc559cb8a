import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  BitwiseError,
  bytesSource,
  encodeSafetensors,
  InputError,
  Safetensors,
  SafetensorsError,
  type TensorToWrite,
} from "../../../engine/mod.ts";
import { below as random } from "../../random.ts";
import {
  decodeBitsFile,
  encodeBitsFile,
  holdsBits,
  packBits,
} from "../../../model/bits/bits_file.ts";
import { bitCount, type ImageBits, takeScales } from "../../../model/bits/image_bits.ts";
import type { Grid } from "../../../model/config/grid.ts";
import { parseSchedule, schedules } from "../../../model/config/schedule.ts";
import { build } from "../../engine/files/safetensors_helpers.ts";

/** An image of random bits, 16 pixels per position of the last scale. */
function image(schedule: readonly Grid[], d: number, seed: number, model?: string): ImageBits {
  const next = random(seed);
  const latent = schedule.at(-1)!;
  return {
    width: 16 * latent[1],
    height: 16 * latent[0],
    d,
    latent,
    schedule,
    scales: schedule.map(([h, w]) => Uint8Array.from({ length: h * w * d }, () => next(2))),
    ...model !== undefined && { model },
  };
}

const APPLE = image(parseSchedule("1x1,2x3,5x7"), 3, 1, "emoji-nano"); // 126 bits: 16 bytes

/** Images with odd numbers of bits, other shapes, and only some of their scales. */
const IMAGES: ImageBits[] = [
  APPLE,
  image([[1, 1]], 1, 2),
  image([[1, 1], [1, 7]], 1, 3, ""),
  image([[1, 1], [9, 2], [31, 3]], 7, 4, 'a "model"\nof 猫 \u2028'),
  image([[2, 2]], 64, 5, "x".repeat(300)),
  takeScales(APPLE, 2),
  takeScales(image(schedules(1, "1M"), 32, 6, "infinity-2b"), 9),
  ...Array.from({ length: 63 }, (_, i) => image([[1, 1], [3, 2]], i + 2, i, "m")),
];

/** The header's bytes, with its padding. */
function headerBytes(file: Uint8Array<ArrayBuffer>): number {
  return Number(new DataView(file.buffer).getBigUint64(0, true));
}

Deno.test("decodeBitsFile() reads what encodeBitsFile() wrote", async () => {
  assert(IMAGES.some((bits) => bitCount(bits) % 8 === 0));
  assert(IMAGES.filter((bits) => bitCount(bits) % 8 !== 0).length > IMAGES.length / 2);
  for (const bits of IMAGES) {
    const before = structuredClone(bits);
    const file = encodeBitsFile(bits);
    const copy = file.slice();
    assertEquals(await decodeBitsFile(file), bits);
    assertEquals(await decodeBitsFile(file, "apple.bits"), { ...bits, name: "apple.bits" });
    assertEquals(file, copy);
    assertEquals(bits, before);
  }
});

Deno.test("encodeBitsFile() adds little to the bits", () => {
  for (const bits of IMAGES) {
    const file = encodeBitsFile(bits);
    assertEquals(file.length, 8 + headerBytes(file) + Math.ceil(bitCount(bits) / 8));
  }
  for (const ratio of [1, 3, 0.333]) {
    const large = image(schedules(ratio, "1M"), 32, 8, "infinity-2b");
    assertEquals(large.schedule.length, 13);
    const bytes = headerBytes(encodeBitsFile(large));
    assert(bytes < 400, `${bytes} bytes`);
  }
});

Deno.test("encodeBitsFile() writes a safetensors file that describes itself", async () => {
  const file = await Safetensors.open(bytesSource("apple.bits", encodeBitsFile(APPLE)));
  assertEquals({ ...file.metadata }, {
    format: "bitwise-bits-1",
    d: "3",
    size: "112x80",
    latent: "5x7",
    schedule: "1x1,2x3,5x7",
    model: "emoji-nano",
  });
  assertEquals([...file.tensors.keys()], ["bits"]);
  const { dtype, shape } = file.get("bits");
  assertEquals([dtype, shape], ["U8", [16]]);
  assert(holdsBits(file));
  assert(!holdsBits({ metadata: {} }));
  assert(!holdsBits({ metadata: { format: "pt" } }));
});

Deno.test("packBits() puts the first bit into the highest, as numpy.unpackbits reads it", () => {
  assertEquals([...packBits([Uint8Array.of(1)])], [0x80]);
  // the next scale starts within a byte
  assertEquals([...packBits([Uint8Array.of(1, 0, 0), Uint8Array.of(0, 0, 1, 1, 0, 0, 1)])], [
    0b1000_0110,
    0b0100_0000,
  ]);
  assertEquals([...packBits([])], []);
  for (const bits of IMAGES) {
    const text = bits.scales.map((scale) => scale.join("")).join("");
    const bytes = text.match(/.{1,8}/g)!.map((byte) => parseInt(byte.padEnd(8, "0"), 2));
    assertEquals([...packBits(bits.scales)], bytes);
    assertEquals([...encodeBitsFile(bits).slice(-bytes.length)], bytes);
  }
});

const METADATA = {
  format: "bitwise-bits-1",
  d: "3",
  size: "112x80",
  latent: "5x7",
  schedule: "1x1,2x3,5x7",
};

const BITS: TensorToWrite = { name: "bits", dtype: "U8", shape: [16], data: new Uint8Array(16) };

/** A file of bits with another header; `undefined` removes a key. */
function wrong(metadata: Record<string, string | undefined>, tensors: TensorToWrite[] = [BITS]) {
  const said = Object.entries({ ...METADATA, ...metadata }).filter(([, text]) =>
    text !== undefined
  );
  return encodeSafetensors(tensors, Object.fromEntries(said) as Record<string, string>);
}

/** Asserts one line that names the file. */
async function refuses(file: Uint8Array<ArrayBuffer>, says: string): Promise<void> {
  const error = await assertRejects(() => decodeBitsFile(file, "apple.bits"), InputError);
  assertEquals(error.code, "bad-bits");
  assertEquals(error.name, "InputError");
  assert(/^Cannot read bits of "apple\.bits": [^\n]*[^.\n]$/.test(error.message), error.message);
  assertStringIncludes(error.message, says);
}

Deno.test("decodeBitsFile() reads a header without the model", async () => {
  const { model: _, ...apple } = APPLE;
  const scales = APPLE.scales.map(({ length }) => new Uint8Array(length));
  assertEquals(await decodeBitsFile(wrong({})), { ...apple, scales });
});

Deno.test("decodeBitsFile() names the key that is missing or wrong", async () => {
  const garbage: Record<string, string[]> = {
    d: ["", "0", "-3", "3.0", " 3", "0x3", "03", "three", "1e1", "10000", "NaN", "3\n"],
    schedule: [
      "",
      ",",
      "1x1,",
      "1x1,2",
      "0x1",
      "1x1,2x3,5x",
      "1x1;2x3",
      "10000x1",
      "-1x1",
      "1x1x1",
    ],
    latent: ["", "5", "0x7", "5x", "5 7", "x", "-5x7", "5x7x9", "10000x1", "5x7,9x9"],
    size: [
      "",
      "112",
      "112x",
      "0x80",
      "112x80x3",
      "65537x80",
      "112x65537",
      "1e2x80",
      " 112x80",
      "x",
    ],
  };
  for (const [key, texts] of Object.entries(garbage)) {
    await refuses(wrong({ [key]: undefined }), `its header has no ${key}`);
    for (const text of [...texts, "a\nb", "9".repeat(5000)]) {
      await refuses(wrong({ [key]: text }), `its header says ${key} `);
    }
  }
});

Deno.test("decodeBitsFile() names a tensor that does not match the header", async () => {
  const data = (length: number) => new Uint8Array(length);
  const tensors: [TensorToWrite[], string][] = [
    [[], "tensor bits is missing, 126 bits need U8 [16]"],
    [[{ ...BITS, name: "Bits" }], "tensor bits is missing, 126 bits need U8 [16]"],
    [[{ ...BITS, shape: [15], data: data(15) }], "tensor bits is U8 [15], 126 bits need U8 [16]"],
    [[{ ...BITS, shape: [17], data: data(17) }], "tensor bits is U8 [17], 126 bits need U8 [16]"],
    [[{ ...BITS, shape: [126], data: data(126) }], "is U8 [126], 126 bits need U8 [16]"],
    [[{ ...BITS, shape: [0], data: data(0) }], "tensor bits is U8 [0], 126 bits need U8 [16]"],
    [[{ ...BITS, dtype: "I8" }], "tensor bits is I8 [16], 126 bits need U8 [16]"],
    [[{ ...BITS, dtype: "BOOL" }], "tensor bits is BOOL [16], 126 bits need U8 [16]"],
    [[{ ...BITS, dtype: "F32", shape: [4] }], "tensor bits is F32 [4], 126 bits need U8 [16]"],
  ];
  for (const [list, says] of tensors) await refuses(wrong({}, list), says);
  await refuses(wrong({ d: "4" }), "tensor bits is U8 [16], 168 bits need U8 [21]");
  // huge claims are refused without allocating
  const huge = Array.from({ length: 1000 }, () => "9999x9999").join();
  await refuses(wrong({ d: "9999", schedule: huge }), " bits, the limit is 1073741824");
});

Deno.test("decodeBitsFile() refuses other files", async () => {
  const plain = encodeSafetensors([BITS]);
  const formats = [undefined, "", "pt", "bitwise-bits-2"].map((format) => wrong({ format }));
  for (const file of [plain, ...formats]) await refuses(file, "it is not a bits file");
  const numbers = { ...METADATA, d: 3 };
  const others = [
    new Uint8Array(),
    new TextEncoder().encode("\x89PNG\r\n\x1a\n and more of an image"),
    build("{", 0),
    build({ __metadata__: numbers, bits: { dtype: "U8", shape: [16], data_offsets: [0, 16] } }, 16),
  ];
  for (const file of others) {
    const error = await assertRejects(() => decodeBitsFile(file, "apple.bits"), SafetensorsError);
    assert(/^Cannot read "apple\.bits": [^\n]*[^.\n]$/.test(error.message), error.message);
  }
});

Deno.test("decodeBitsFile() refuses a file that is cut anywhere or too long", async () => {
  const file = encodeBitsFile(APPLE);
  const cut = Array.from({ length: file.length }, (_, length) => file.slice(0, length));
  for (const bytes of [...cut, Uint8Array.of(...file, 0)]) {
    const error = await assertRejects(() => decodeBitsFile(bytes, "apple.bits"), SafetensorsError);
    assert(/^Cannot read "apple\.bits": [^\n]*[^.\n]$/.test(error.message), error.message);
  }
});

Deno.test("decodeBitsFile() throws nothing but BitwiseError on damaged headers", async () => {
  const file = encodeBitsFile(APPLE);
  const header = 8 + headerBytes(file);
  const next = random(9);
  const codes = new Map<string, number>();
  for (let round = 0; round < 6000; round++) {
    const bytes = file.slice();
    for (let i = next(3); i >= 0; i--) {
      // any byte, or one from the header, which more often leaves valid JSON
      bytes[next(header)] = round % 2 ? next(256) : file[8 + next(header - 8)]!;
    }
    let code = "read";
    try {
      const bits = await decodeBitsFile(bytes, "apple.bits");
      const { d, schedule, scales } = bits;
      assertEquals(scales.map((scale) => scale.length), schedule.map(([h, w]) => h * w * d));
      assertEquals(packBits(scales).length, 16);
    } catch (error) {
      assert(error instanceof BitwiseError, String(error));
      assert(/^Cannot read (bits of )?"apple\.bits": [^\n]+$/.test(error.message), error.message);
      code = error.code;
    }
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  for (const code of ["read", "bad-bits", "header-not-json", "header-truncated"]) {
    assert((codes.get(code) ?? 0) > 20, `${code}: ${codes.get(code)}`);
  }
});
