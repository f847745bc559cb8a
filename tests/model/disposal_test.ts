// Holds on every adapter: who waits, and what is freed, is decided on the host.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device, type DeviceError, InputError } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { device } from "../harness.ts";
import { NANO } from "../nano.ts";

/** Calls of every kind that work or wait, on a model that is disposed then. */
async function callsOf(model: InfinityModel): Promise<Promise<unknown>[]> {
  const { images: [image] } = await model.generate("cat", { seed: 1 });
  const stream = model.stream("red apple");
  await stream.next(); // nobody continues it before the disposal
  return [
    model.encode(image!),
    model.decode(image!.bits),
    model.generate("pizza"),
    model.edit(image!, { prompt: "dog face" }),
    model.stream("rocket").next(),
    Promise.resolve().then(() => stream.next()),
  ];
}

async function assertDisposed(calls: readonly Promise<unknown>[]): Promise<void> {
  for (const [i, call] of (await Promise.allSettled(calls)).entries()) {
    assert(call.status === "rejected" && call.reason instanceof InputError, `call ${i}: ${call}`);
    assertEquals([call.reason.code, call.reason.message], [
      "disposed-model",
      "Cannot use a disposed model: load it again",
    ]);
  }
}

Deno.test("dispose() rejects all calls that work or wait, and frees their memory on a shared device", async () => {
  const model = await InfinityModel.load(NANO, { device });
  const calls = await callsOf(model);
  model.dispose();
  await assertDisposed(calls);
  assertEquals(device.memory.liveBytes, 0);
  await assertDisposed([model.generate("late"), model.decode([])]);
  using other = await InfinityModel.load(NANO, { device });
  assertEquals((await other.generate("cat")).images.length, 1, "the device serves others");
});

Deno.test("dispose() rejects all calls that work or wait, and closes a device of its own", async () => {
  const model = await InfinityModel.load(NANO);
  const calls = await callsOf(model);
  model.dispose();
  await assertDisposed(calls);
  assertEquals(model.device.memory.liveBytes, 0);
});

Deno.test("dispose() in the midst of a generation rejects it", async () => {
  for (const at of ["scale", "decode"]) {
    const model = await InfinityModel.load(NANO, { device });
    const onProgress = ({ stage }: { stage: string }) => stage === at && model.dispose();
    await assertDisposed([model.generate("cat", { onProgress })]);
    assertEquals(device.memory.liveBytes, 0, at);
  }
});

Deno.test("dispose() while a part is loaded frees the part", async () => {
  const model = await InfinityModel.load(NANO, { device, lazy: true });
  const calls = [
    model.generate("cat"),
    model.encode({
      width: 32,
      height: 32,
      rgba: new Uint8Array(4096),
    }),
  ];
  model.dispose();
  await assertDisposed(calls);
  assertEquals(device.memory.liveBytes, 0);
});

Deno.test("generate() rejects with a typed error after its device was disposed", async () => {
  const own = await Device.open();
  const model = await InfinityModel.load(NANO, { device: own });
  own.dispose();
  const error = await assertRejects(() => model.generate("cat")) as DeviceError;
  assertEquals([error.name, error.code], ["DeviceError", "disposed-device"]);
  model.dispose();
  assertEquals(own.memory.liveBytes, 0);
});
