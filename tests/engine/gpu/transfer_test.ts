import { assertEquals, assertThrows } from "@std/assert";
import { Device, DeviceError, InputError, KernelError, type Tensor } from "../../../engine/mod.ts";
import { device } from "../../harness.ts";

Deno.test("Device.upload() and Device.read() keep bytes of every dtype and odd size", async () => {
  for (const n of [1, 3, 7, 64, 1001]) {
    const bytes = Uint8Array.from({ length: n }, (_, i) => i * 37 % 256);
    const t = device.from("u8", [n], bytes);
    assertEquals(await device.read(t), bytes);
    const half = device.from("f16", [n], Float16Array.from(bytes));
    assertEquals(await device.read(half), Float16Array.from(bytes));
    t.dispose();
    half.dispose();
  }
  const t = device.tensor("f32", [4]);
  assertThrows(() => device.upload(t, new Float32Array(5)), DeviceError, "Cannot upload 20 bytes");
  assertThrows(() => device.upload(t, new Float32Array(4), 4), DeviceError);
  t.dispose();
});

Deno.test("Device.from() takes the elements of its type, all of them, and keeps nothing that it refuses", async () => {
  using own = await Device.open();
  const message = "Cannot make f32 [4]: it takes Float32Array of length 4";
  for (const data of [new Float32Array(2), new Float32Array(5), new Float16Array(8)]) {
    assertThrows(() => own.from("f32", [4], data), InputError, message);
  }
  assertEquals(own.memory.liveBytes, 0);
});

/** Six f16 in two rows, the second of which begins in the midst of a word. */
const odd = () => device.from("f16", [2, 3], Float16Array.of(1, 2, 3, 4, 5, 6));

Deno.test("Device.read() reads views that begin in the midst of a word", async () => {
  using x = odd();
  const [row, both] = await device.readAll([x.rows(1, 1), x]);
  assertEquals(row, Float16Array.of(4, 5, 6));
  assertEquals(both, Float16Array.of(1, 2, 3, 4, 5, 6));
  using bytes = device.from("u8", [7], Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
  for (let i = 0; i < 7; i++) {
    assertEquals(
      await device.read(bytes.rows(i, 7 - i)),
      Uint8Array.of(1, 2, 3, 4, 5, 6, 7).slice(i),
    );
  }
});

Deno.test("Device.upload() and Device.copy() refuse what would change neighbours", async () => {
  using x = odd();
  using three = device.from("f16", [3], Float16Array.of(7, 8, 9));
  using four = device.from("f16", [4], Float16Array.of(7, 8, 9, 10));
  const write = (to: Tensor, from: Tensor, data: Float16Array<ArrayBuffer>, at = 0) => [
    () => device.copy(from, to, at),
    () => device.upload(to, data, at),
  ];
  const [threes, fours] = [Float16Array.of(7, 8, 9), Float16Array.of(7, 8, 9, 10)];
  const [first, second] = [x.rows(0, 1), x.rows(1, 1)];
  for (const call of [...write(first, three, threes), ...write(x, three, threes)]) {
    assertThrows(call, DeviceError, "others share the last word of 4 bytes");
  }
  for (const call of [...write(second, three, threes), ...write(x, four, fours, 2)]) {
    assertThrows(call, DeviceError, "not a multiple of 4");
  }
  for (const call of write(first, four, fours)) {
    assertThrows(call, DeviceError, "8 bytes at 0 to a tensor of 6");
  }
  for (const call of write(x, four, fours, 8)) {
    assertThrows(call, DeviceError, "8 bytes at 8 to a tensor of 12");
  }
  assertEquals(await device.read(x), Float16Array.of(1, 2, 3, 4, 5, 6));
  using bytes = device.from("u8", [6], new Uint8Array(6).fill(1));
  assertThrows(() => device.upload(bytes, new Uint8Array(3)), DeviceError, "others share");
  device.upload(bytes, Uint8Array.of(2), 4); // zeros fill the last word
  assertEquals(await device.read(bytes), Uint8Array.of(1, 1, 1, 1, 2, 0));
  device.upload(three, Float16Array.of(4, 5, 6)); // nothing follows
  device.copy(three, device.tensor("f16", [3]));
  assertEquals(await device.read(three), Float16Array.of(4, 5, 6));
});

Deno.test("Device.stage() and Device.texture() keep nothing where they refuse a tensor", async () => {
  using own = await Device.open();
  const rows = own.from("f32", [4096], new Float32Array(4096));
  rows.dispose();
  let made = 0;
  const { createTexture } = own.gpu;
  own.gpu.createTexture = (descriptor) => (made++, createTexture.call(own.gpu, descriptor));
  assertThrows(() => own.stage(rows), KernelError, "disposed");
  assertThrows(() => own.texture(rows), KernelError, "disposed");
  assertEquals([made, own.memory.liveBytes], [0, 0]);
});

Deno.test("Device.copy() copies to a byte offset", async () => {
  const a = device.from("f32", [2], Float32Array.of(5, 6));
  const b = device.from("f32", [5], new Float32Array(5));
  device.copy(a, b, 8);
  assertEquals(await device.read(b), Float32Array.of(0, 0, 5, 6, 0));
  a.dispose();
  b.dispose();
});
