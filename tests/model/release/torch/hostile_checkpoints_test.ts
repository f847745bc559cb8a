import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { bytesSource, CheckpointError } from "../../../../engine/mod.ts";
import { openTorchCheckpoint } from "../../../../model/release/torch/torch_checkpoint.ts";
import { BOMBS, GOOD, HOSTILE } from "./hostile_checkpoints.ts";
import { legacyPth, pth, storage } from "./torch_files.ts";
import { inTime } from "../../../in_time.ts";

const open = (bytes: Uint8Array) => openTorchCheckpoint(bytesSource("x.pth", bytes));

Deno.test("openTorchCheckpoint() refuses hostile files in less than a second", async (t) => {
  assertEquals(new Set(HOSTILE.map(({ name }) => name)).size, HOSTILE.length);
  for (const { name, file, code, says = "" } of HOSTILE) {
    await t.step(name, async () => {
      const bytes = file();
      const error = await inTime(1000, () => assertRejects(() => open(bytes), CheckpointError));
      assertEquals(error.code, code, error.message);
      assert(/^Cannot read "x\.pth": [^\n]*[^.\n]$/.test(error.message), error.message);
      assertStringIncludes(error.message, says);
    });
  }
});

Deno.test({
  name: "openTorchCheckpoint() refuses bombs in less than 200 MB",
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    const program = fromFileUrl(new URL("./hostile_checkpoints.ts", import.meta.url));
    for (const { name } of BOMBS) {
      await t.step(name, async () => {
        const run = new Deno.Command(Deno.execPath(), { args: ["run", "-A", program, name] });
        const { stdout } = await run.output();
        const { bytes } = JSON.parse(new TextDecoder().decode(stdout));
        assert(bytes < 200e6, `${bytes} bytes`);
      });
    }
  },
});

Deno.test("openTorchCheckpoint() refuses a file truncated anywhere", async () => {
  const data = storage("0", "Float", new Float32Array(600));
  for (const whole of [pth(GOOD, [data]), legacyPth(GOOD, [data])]) {
    const lengths = Array.from({ length: 20 }, (_, i) => Math.floor(whole.length * i / 20));
    for (const length of [...lengths, whole.length - 1]) {
      const error = await assertRejects(() => open(whole.slice(0, length)), CheckpointError);
      assert(/^Cannot read "x\.pth": [^\n]*[^.\n]$/.test(error.message), error.message);
    }
  }
});

Deno.test("openTorchCheckpoint() throws nothing but CheckpointError on damaged files", async () => {
  const data = storage("0", "Float", new Float32Array(6));
  let seed = 1;
  const random = (n: number) => (seed = Math.imul(seed, 1664525) + 1013904223 >>> 0) % n;
  for (const whole of [pth(GOOD, [data]), legacyPth(GOOD, [data])]) {
    for (let round = 0; round < 2000; round++) {
      const bytes = whole.slice();
      for (let i = random(3); i >= 0; i--) bytes[random(bytes.length)] = random(256);
      try {
        const file = await open(bytes);
        for (const name of file.tensors.keys()) await file.read(name);
      } catch (error) {
        assert(error instanceof CheckpointError, String(error));
        assert(!error.message.includes("\n"), error.message);
      }
    }
  }
});
