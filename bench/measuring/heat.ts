import { defineKernel, type Device } from "../../engine/mod.ts";
import fmaSource from "./fma.wgsl" with { type: "text" };

/** FMAs in registers, see fma.wgsl. */
export const fmaKernel = defineKernel("fma", fmaSource, ["y"], ["rounds", "decay", "step"]);

/** Milliseconds of work before the first measurement: an idle card runs at a fifth of its clock for up to 0.2 s. */
const FIRST = 300;
/** Milliseconds of work before each further one: setting up work leaves the card idle. */
const AGAIN = 40;
/** Milliseconds of one submit. */
const SUBMIT = 20;
const GROUPS = 4096;

/** Rounds of a submit that take about {@link SUBMIT}, of each device that is warm. */
const warm = new WeakMap<Device, number>();

/** Keeps a GPU busy until its clock is up. By time, because it depends on time. Does nothing on a CPU. */
export async function heat(device: Device): Promise<void> {
  if (device.capabilities.class === "cpu") return;
  let rounds = warm.get(device) ?? 1;
  const end = performance.now() + (warm.has(device) ? AGAIN : FIRST);
  using y = device.tensor("f32", [GROUPS * 64 * 4], "heat");
  while (performance.now() < end) {
    const began = performance.now();
    device.run(fmaKernel, {
      specialise: { T: "f32", OWN: false },
      bind: { y },
      params: { rounds, decay: 0.5, step: 1 },
      workgroups: [GROUPS],
    });
    await device.finish();
    if (performance.now() - began < SUBMIT) rounds *= 2;
  }
  warm.set(device, rounds);
}
