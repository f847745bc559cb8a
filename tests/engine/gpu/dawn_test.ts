import { assert, assertEquals, assertRejects } from "@std/assert";
import { dawn, dawnObstacle, Device, DeviceError, surveyAdapter } from "../../../engine/mod.ts";
import { DAWN } from "../../backend.ts";

const obstacle = dawnObstacle();
const NEED = obstacle === null ? "" : ` (skipped: ${obstacle})`;
const ON_DAWN = DAWN ? "" : " (skipped: only Dawn has an adapter here)";

Deno.test({
  name: `Device.open() says what to do where Dawn accepts no adapter${NEED}`,
  ignore: obstacle !== null,
  fn: async () => {
    const gpu = await dawn({ flags: ["adapter=none"] });
    const error = await assertRejects(() => Device.open({ gpu }), DeviceError);
    assertEquals(error.code, "no-adapter");
    assertEquals(error.hint, "use-wgpu");
    assert(/^Dawn accepts no adapter.*update/.test(error.message), error.message);
    assertEquals(await surveyAdapter(gpu), null);
  },
});

Deno.test({
  name: `dawn() tells whether it checks bounds, and keeps its toggles beside others${ON_DAWN}`,
  ignore: !DAWN,
  fn: async () => {
    for (const robustness of [true, false]) {
      const flags = [
        "enable-dawn-features=dump_shaders",
        "disable-dawn-features=lazy_clear_resource",
      ];
      const found = await surveyAdapter(await dawn({ robustness, flags }));
      assertEquals(found?.robustness, robustness);
      assert(found!.subgroupMatrices.length > 0, "unsafe APIs are still allowed");
    }
  },
});

Deno.test("surveyAdapter() finds what a device has, without opening one", async () => {
  using device = await Device.open();
  const found = await surveyAdapter(navigator.gpu);
  // wgpu lists less than it grants, and a device has limits
  const { features, limits, subgroups, subgroupSize } = device.capabilities;
  assertEquals({ ...found, features, limits, subgroups, subgroupSize }, device.capabilities);
  assertEquals(await surveyAdapter(undefined), null);
});

Deno.test({
  name: `Device.read() polls an idle GPU quickly${ON_DAWN}`,
  ignore: !DAWN,
  fn: async () => {
    using device = await Device.open();
    using tensor = device.from("u32", [1], Uint32Array.of(7));
    const times: number[] = [];
    for (let i = 0; i < 30; i++) {
      const began = performance.now();
      assertEquals((await device.read(tensor))[0], 7);
      times.push(performance.now() - began);
    }
    assert(Math.min(...times) < 1, `polls by timers take 2 ms: ${times}`);
  },
});
