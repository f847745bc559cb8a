import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InputError } from "../../../../engine/mod.ts";
import { openFolder } from "../../../../model/checkpoint/folder.ts";
import { parseConfig } from "../../../../model/config/config.ts";
import { openFrozenText } from "../../../../model/training/stages/frozen_text.ts";
import { Tape } from "../../../../model/training/tape/tape.ts";
import { device } from "../../../harness.ts";
import { NANO } from "../../../nano.ts";

Deno.test("openFrozenText() gives the same bytes whether an encoder stays or all prompts are known", async () => {
  const folder = openFolder(fromFileUrl(NANO));
  const model = parseConfig(await folder.json("config.json"), "emoji-nano");
  // more than are encoded at a time, of several lengths
  const prompts = Array.from(
    { length: 70 },
    (_, i) => [...Array.from({ length: 1 + i % 5 }, (_, k) => 3 + 7 * i + k), 1],
  );
  const before = device.memory.liveBytes;
  const staying = await openFrozenText(device, model, folder, null);
  const held = device.memory.liveBytes - before;
  const parts: number[] = [];
  const onPrepare = (part: number) => parts.push(part);
  const known = await openFrozenText(device, model, folder, { prompts, onPrepare });
  assertEquals(parts, [0, 32 / 70, 64 / 70]);
  assert(held > 1e6, `${held}`);
  assertEquals(device.memory.liveBytes, before + held, "nothing of the second is left");
  for (const ids of [[prompts[69]!, prompts[0]!, prompts[0]!], [prompts[33]!]]) {
    const made = [];
    for (const text of [staying, known]) {
      const tape = new Tape(device);
      const { value, wanted } = text.features(tape, ids);
      assertEquals([value.shape[0], wanted], [ids.flat().length, false]);
      made.push([...await device.read(value)]);
      tape.unwind();
    }
    assertEquals(made[0], made[1]);
  }
  assertThrows(() => known.features(new Tape(device), [[3, 4, 5, 1]]), InputError, "do not list");
  const stopped = new AbortController();
  const stop = () => stopped.abort(new Error("enough"));
  const { signal } = stopped;
  await assertRejects(
    () => openFrozenText(device, model, folder, { prompts, signal, onPrepare: stop }),
    Error,
    "enough",
  );
  staying.dispose();
  known.dispose();
  assertEquals(device.memory.liveBytes, before);
});
