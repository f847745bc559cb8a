import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { CHOICES } from "../../kernels/shared/variants.ts";
import { OPS } from "./all.ts";
import { runOp } from "./run.ts";

/** Random cases of an op here; `deno task test:ops` makes 200. Kernels of several variants take long to compile. */
const COUNT = { one: 4, several: 1 } as const;

/** Each variant of each kernel in one type, in turn the first and the last: compiling all would take minutes. */
const few = [...new Set(OPS.map((op) => op.kernel))].flatMap((kernel) => {
  const ops = OPS.filter((op) => op.kernel === kernel);
  const variants = [...new Set(ops.map((op) => op.variant))];
  if (variants.length === 1) return ops;
  return variants.map((variant, i) => {
    const types = ops.filter((op) => op.variant === variant);
    return types.at(i % 2 ? -1 : 0)!;
  });
});

for (const kernel of new Set(few.map((op) => op.kernel))) {
  Deno.test(`${kernel} is as near to float64 as limits.ts says, in all variants, special cases included`, async (t) => {
    for (const op of few) {
      if (op.kernel !== kernel) continue;
      const { variant, dtype, obstacle } = op;
      await t.step({
        name: `${variant} ${dtype}${obstacle ? ` (skipped: ${obstacle})` : ""}`,
        ignore: obstacle !== null,
        async fn() {
          const { failures } = await runOp(op, 1, COUNT[variant === "plain" ? "one" : "several"]);
          const command = `--kernel ${kernel} --variant "${variant}" --dtype ${dtype}`;
          assertEquals(failures, [], command);
        },
      });
    }
  });
}

Deno.test("Every kernel has an op that runs it", async () => {
  const root = new URL("../../kernels/", import.meta.url);
  const runs = new Set(OPS.flatMap((op) => op.runs));
  const found: string[] = [];
  for await (const room of Deno.readDir(fromFileUrl(root))) {
    for await (const { name } of Deno.readDir(fromFileUrl(new URL(room.name, root)))) {
      if (!name.endsWith(".wgsl")) continue;
      const text = await Deno.readTextFile(fromFileUrl(new URL(`${room.name}/${name}`, root)));
      // other files are text for preludes
      if (text.includes("@compute")) found.push(name.slice(0, -".wgsl".length));
    }
  }
  assert(found.length > 30, `only ${found}`);
  assertEquals(found.filter((name) => !runs.has(name)), []);
});

Deno.test("Every variant that is chosen by size has an op that forces it", () => {
  const missing = Object.entries(CHOICES).flatMap(([choice, { variants }]) =>
    variants.filter((variant) => !OPS.some((op) => op.choices?.[choice] === variant))
      .map((variant) => `${choice}: ${variant}`)
  );
  assertEquals(missing, []);
});
