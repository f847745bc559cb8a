import { assert, assertEquals, assertLess } from "@std/assert";
import { type Profile, readProfile } from "../../../model/image/icc.ts";
import * as icc from "./icc_files.ts";

const { matrixProfile, P3_COLUMNS, para, profile, SRGB_COLUMNS, SRGB_CURVE, xyz } = icc;

/** Converts one colour. */
function convert(profile: Profile, ...rgb: number[]): number[] {
  assert(profile.kind === "convert");
  const rgba = Uint8Array.from([...rgb, 77]);
  profile.convert(rgba);
  assertEquals(rgba[3], 77, "alpha stays");
  return [...rgba.subarray(0, 3)];
}

const linear = (v: number) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const encoded = (v: number) => v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;

// CSS Color 4 by way of D65: linear Display P3 to linear sRGB.
const P3_TO_SRGB = [
  [1.2249401, -0.2249404, 0],
  [-0.0420569, 1.0420571, 0],
  [-0.0196376, -0.0786361, 1.0982735],
];

Deno.test("readProfile() converts Display P3 to sRGB within a level", () => {
  const p3 = readProfile(matrixProfile(P3_COLUMNS, SRGB_CURVE));
  for (let i = 0; i < 2000; i++) {
    const rgb = [i * 7 % 256, i * 31 % 256, i * 101 % 256];
    const lights = rgb.map((v) => linear(v / 255));
    const expected = P3_TO_SRGB.map((row) => {
      const sum = row.reduce((sum, weight, c) => sum + weight * lights[c]!, 0);
      return 255 * encoded(Math.min(1, Math.max(0, sum)));
    });
    const found = convert(p3, ...rgb);
    found.forEach((value, c) => assertLess(Math.abs(value - expected[c]!), 1.5, `${rgb}`));
  }
});

Deno.test("readProfile() takes a profile that changes nothing as sRGB, whatever its name and curve", () => {
  const samples = Array.from({ length: 1024 }, (_, i) => Math.round(65535 * linear(i / 1023)));
  for (const curve of [SRGB_CURVE, icc.curv(...samples)]) {
    assertEquals(readProfile(matrixProfile(SRGB_COLUMNS, curve, "Photo 7")), { kind: "srgb" });
  }
  assertEquals(readProfile(matrixProfile(SRGB_COLUMNS, icc.curv(563))).kind, "convert");
  const grey = profile({ kTRC: SRGB_CURVE }, "GRAY");
  assertEquals(readProfile(grey), { kind: "srgb" });
});

Deno.test("readProfile() reads curves of every type", () => {
  const white = (curve: ReturnType<typeof para>) =>
    convert(readProfile(matrixProfile(SRGB_COLUMNS, curve)), 128, 128, 128)[0];
  const x = 128 / 255;
  const byte = (light: number) => Math.round(255 * encoded(light));
  const cases: [ReturnType<typeof para>, number][] = [
    [icc.curv(), x],
    [icc.curv(512), x ** 2],
    [icc.curv(0, 65535), x],
    [icc.curv(0, 16384, 65535), 0.25 + 0.75 * (2 * x - 1)],
    [para(1.8), x ** 1.8],
    [para(2, 0.5, 0.25), (0.5 * x + 0.25) ** 2],
    [para(2, 0.5, 0.25, 0.125), (0.5 * x + 0.25) ** 2 + 0.125],
    [para(2, 0.5, 0.25, 0.3, 0.8), 0.3 * x],
    [para(2, 0.5, 0.25, 0.3, 0.1), (0.5 * x + 0.25) ** 2],
    [para(2, 0.5, 0.25, 0.3, 0.8, 0.2, 0.1), 0.3 * x + 0.1],
    [para(2, 0.5, 0.25, 0.3, 0.1, 0.2, 0.1), (0.5 * x + 0.25) ** 2 + 0.2],
  ];
  for (const [curve, light] of cases) {
    assertLess(Math.abs(white(curve)! - byte(light)), 2, curve.toString("hex"));
  }
});

Deno.test("readProfile() converts grey profiles, also those that meet at L*a*b*", () => {
  const gamma = readProfile(profile({ kTRC: icc.curv(256) }, "GRAY"));
  assertEquals(convert(gamma, 55, 55, 55), Array(3).fill(Math.round(255 * encoded(55 / 255))));
  // L* of 50 is 18.4 % of white's luminance
  const lab = readProfile(profile({ kTRC: icc.curv(256) }, "GRAY", "Lab "));
  const value = convert(lab, 127.5, 127.5, 127.5)[0]!;
  assertLess(Math.abs(value - 255 * encoded(0.184)), 1.5);
});

Deno.test("readProfile() names what it cannot convert", () => {
  const named = (space: string, name: string) =>
    readProfile(profile({ desc: icc.described(name), A2B0: para(1) }, space, "Lab "));
  assertEquals(named("CMYK", "Coated"), { kind: "unknown", name: "Coated" });
  assertEquals(named("RGB ", "Scanner"), { kind: "unknown", name: "Scanner" });
  assertEquals(readProfile(profile({})), { kind: "unknown", name: "" });
});

Deno.test("readProfile() survives any damage, and converts to bytes if at all", () => {
  const whole = matrixProfile(P3_COLUMNS, para(2, 0.5, 0.25, 0.3, 0.8, 0.2, 0.1), "P3");
  let converting = 0;
  const check = (bytes: Uint8Array) => {
    const read = readProfile(bytes);
    if (read.kind !== "convert") return;
    read.convert(Uint8Array.from({ length: 1024 }, (_, i) => i * 37));
    converting++;
  };
  for (let length = 0; length <= whole.length; length++) check(whole.subarray(0, length));
  for (let at = 0; at < whole.length; at++) {
    for (const byte of [0, 0x7f, 0x80, 0xff]) {
      const damaged = whole.slice();
      damaged[at] = byte;
      check(damaged);
    }
  }
  assert(converting > 100, `${converting}`);
  // a curve and a table of tags that claim more than there is
  const long = icc.curv(1, 2);
  long.writeUInt32BE(0xffffffff, 8);
  assertEquals(readProfile(matrixProfile(P3_COLUMNS, long, "long")).kind, "unknown");
  const many = profile({ rXYZ: xyz(1, 1, 1) });
  many.fill(0xff, 128, 132);
  assertEquals(readProfile(many).kind, "unknown");
  // powers that overflow, and divisions by zero
  for (const curve of [para(-30000), para(2, 0, 0), para(30000, 30000, 30000)]) {
    check(matrixProfile(P3_COLUMNS, curve));
  }
});
