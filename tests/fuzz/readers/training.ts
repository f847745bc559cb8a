// What training reads of others: CONFIG.json, the log of an earlier run, and files of adapters.
import { bytesSource, encodeSafetensors, Safetensors } from "../../../engine/mod.ts";
import { encodeLora, readLora } from "../../../model/checkpoint/lora_file.ts";
import { parseTrainFile } from "../../../model/training/config/train_config.ts";
import { curves } from "../../../model/training/report/curves.ts";
import { parseLog } from "../../../model/training/report/log.ts";
import scenes from "../../../examples/training/emoji-scenes.json" with { type: "json" };
import nano from "../../../examples/training/emoji-nano.json" with { type: "json" };
import { mutateBytes, mutateText, mutateTree } from "../mutate.ts";
import { claim, reader } from "../reader.ts";

export const trainConfig = reader({
  make: (random) => mutateTree(random, random.pick([nano, scenes] as unknown[])),
  read(tree) {
    const found = parseTrainFile(JSON.parse(JSON.stringify(tree) ?? "null"), "c.json");
    const again = parseTrainFile(JSON.parse(JSON.stringify(found)), "c.json");
    claim(JSON.stringify(again) === JSON.stringify(found), "what it makes is taken");
    for (const { steps, minutes } of [found.tokenizer, found.transformer, found.decoder]) {
      claim(steps !== null || minutes !== null, "a stage ends");
    }
  },
});

const LINE = {
  stage: "transformer",
  step: 10,
  loss: 0.5,
  seconds: 3,
  learning_rate: 1e-3,
  bit_accuracy: [0.9, 0.8],
  losses: { l1: 0.1 },
  images_per_second: 9,
};

export const trainLog = reader({
  make(random) {
    const lines = random.list(0, 4, () => JSON.stringify(mutateTree(random, LINE)) ?? "");
    return random.chance(0.7) ? lines.join("\n") : mutateText(random, lines.join("\n"));
  },
  read(text) {
    const svg = curves(parseLog(text, "log.jsonl"), "x");
    claim(!/<[^>]*(NaN|Infinity)/.test(svg), "numbers");
  },
});

export const lora = reader({
  make(random) {
    const rank = 1 + random.below(4);
    const pairs = random.list(
      0,
      3,
      (i) => ({ name: `m${i}`, N: random.below(4), K: random.below(4) }),
    );
    const metadata = {
      rank: random.pick([`${rank}`, "0", "-1", "1e9", "x", "NaN", "Infinity"]),
      alpha: random.pick(["1", `${rank}`, "0", "x", "Infinity"]),
      base: "0123456789abcdef",
      base_name: random.pick(["m", "\x1b[31m", ""]),
    };
    const bytes = encodeSafetensors(
      pairs.flatMap(({ name, N, K }) => {
        const tensor = (name: string, shape: number[]) => ({
          name,
          dtype: "F32" as const,
          shape,
          data: new Uint8Array(random.bytes(4 * shape[0]! * shape[1]!)),
        });
        return [tensor(`${name}.lora_A`, [rank, K]), tensor(`${name}.lora_B`, [N, rank])];
      }),
      metadata,
    );
    return random.chance(0.5) ? bytes : mutateBytes(random, bytes);
  },
  async read(bytes) {
    const file = await Safetensors.open(bytesSource("style.safetensors", bytes.slice()));
    const { hash, ...found } = await readLora(file);
    claim(/^[0-9a-f]{12}$/.test(hash), "a hash");
    for (const { A, B, shape: [N, K] } of found.adapters.values()) {
      claim(A.length === found.rank * K && B.length === N * found.rank, "sizes");
      claim([...A, ...B].every(Number.isFinite), "finite");
    }
    const again = await Safetensors.open(bytesSource("again", new Uint8Array(encodeLora(found))));
    claim(
      (await readLora(again)).adapters.size === found.adapters.size,
      "it survives being written",
    );
  },
});
