// The text files of a model folder and of a machine, but for the tokenizer.
import { CHOICES } from "../../../kernels/shared/variants.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { PRESETS } from "../../../model/config/presets.ts";
import { parseTuning } from "../../../model/parts/tuning.ts";
import nano from "../../../assets/models/emoji-nano/config.json" with { type: "json" };
import { json, mutateText, mutateTree, number, TEXTS } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";

const CONFIGS: readonly unknown[] = [nano, ...[...PRESETS.values()].map(({ config }) => config)];
const WORDS = [
  "0.06M",
  "1M",
  "gated-gelu",
  "silu",
  "2d",
  "no",
  "tanh",
  "../x",
  "a/../../b",
  "C:\\x",
];

/** Every number of a tree, wherever it is. */
function* numbersOf(tree: unknown): Generator<number> {
  if (typeof tree === "number") yield tree;
  else if (typeof tree === "object" && tree !== null) {
    for (const inner of Object.values(tree)) yield* numbersOf(inner);
  }
}

export const config = reader({
  make: (random) =>
    mutateTree(
      random,
      random.pick(CONFIGS),
      (random) =>
        random.chance(0.4) ? random.chance(0.5) ? random.pick(WORDS) : finite(random) : undefined,
    ),
  read(tree) {
    const found = parseConfig(JSON.parse(JSON.stringify(tree) ?? "null"), "config.json");
    for (const value of numbersOf(found)) claim(Number.isFinite(value), `a number, not ${value}`);
    for (const path of Object.values(found.files)) {
      claim(!/(^|[/\\])\.\.([/\\]|$)|^[/\\]|:|\0/.test(path), `a path inside, not ${path}`);
    }
    const { embed_dim, num_heads } = found.transformer;
    claim(embed_dim % num_heads === 0, "heads divide the channels");
  },
});

function finite(random: Random): number {
  const value = number(random);
  return Number.isFinite(value) ? value : 2 ** 40;
}

export const tuning = reader({
  make(random) {
    const names = Object.keys(CHOICES) as (keyof typeof CHOICES)[];
    const tree = Object.fromEntries(random.list(1, 5, () => {
      const name = random.pick(names);
      const steps = random.list(
        1,
        3,
        () => [random.below(3000), random.pick(CHOICES[name].variants)],
      );
      return [name, steps];
    }));
    const broken = JSON.stringify(mutateTree(random, tree, (random) =>
      random.chance(0.3) ? [[0, random.pick(TEXTS)]] : json(random))) ?? "";
    return random.chance(0.8) ? broken : mutateText(random, broken);
  },
  read(written) {
    const found = parseTuning(written, "/tmp/tuning.json");
    for (const [kernel, steps] of Object.entries(found)) {
      claim(Object.hasOwn(CHOICES, kernel), `a kernel, not ${kernel}`);
      for (const [size, variant] of steps!) {
        const { variants } = CHOICES[kernel as keyof typeof CHOICES];
        claim(typeof size === "number", "a size");
        claim((variants as readonly unknown[]).includes(variant), "a variant");
      }
    }
    claim(
      JSON.stringify(parseTuning(JSON.stringify(found), "x")) === JSON.stringify(found),
      "it survives being written",
    );
  },
});
