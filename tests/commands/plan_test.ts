import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { surveyAdapter } from "../../engine/mod.ts";
import { parseConfig } from "../../model/config/config.ts";
import { adapterOptions, planMemory } from "../../model/memory_plan.ts";
import { NANO } from "../nano.ts";
import { writeTraining } from "./tiny_training.ts";
import { ended, fakeIo, filesIn, inFolder, NO_GPU, start } from "./process.ts";

Deno.test("plan: memory per stage of a preset and of a folder, without a GPU", () =>
  inFolder(async (cwd) => {
    const args = ["plan", "-m", "2b", "-W", "1024", "-H", "1024", "--type", "f16", "--json"];
    const { code, out, err } = await ended(start(args, { cwd, env: NO_GPU }));
    assertEquals([code, err], [0, ""]);
    const plan = JSON.parse(out);
    assertEquals([plan.model, plan.type, plan.staged], ["infinity-2b", "f16", false]);
    const peaks = plan.stages.map(({ peak }: { peak: number }) => peak);
    assertEquals(plan.peak, Math.max(...peaks));
    assert(plan.peak > 10e9, `${plan.peak}`);

    assertEquals(Math.round(plan.flops.linear), 79);
    const fast = await ended(
      start([...args, "--fast", "kv", "--cfg-until", "9"], { cwd, env: NO_GPU }),
    );
    const less = JSON.parse(fast.out);
    assert(
      less.peak < plan.peak - 3e9 && less.flops.attention < plan.flops.attention / 3,
      fast.out,
    );

    const own = await ended(start(["plan"], { cwd, env: NO_GPU }));
    assertStringIncludes(own.out, "emoji-nano as f32, all parts in memory");
    assert(/^Peak \d+ MB\nWith --staged \d+ MB$/m.test(own.out), own.out);
    assert(
      /^Transformer 0\.0\d+ TFLOP of linear layers, 0\.0\d+ of attention, per image$/m.test(
        own.out,
      ),
      own.out,
    );
  }));

Deno.test("plan: --staged counts within --max-vram, and impossible prompts are refused", async () => {
  const plan = async (...args: string[]) => {
    const io = fakeIo();
    const code = await main(["plan", "--json", ...args], io);
    return { code, err: io.errors(), made: code === 0 ? JSON.parse(io.text()) : null };
  };
  const { made: one } = await plan("--staged");
  const { made: within } = await plan("--staged", "--max-vram", "8G");
  assertEquals([within.staged, within.peak], [true, one.peak]);
  const tight = await plan("--staged", "--max-vram", "9M");
  assertEquals(tight.code, 1);
  assertMatch(tight.err, /^error: Cannot fit emoji-nano into 9 MB: it needs \d+ MB even in stages/);

  const long = await plan("--prompt-tokens", "513");
  assertEquals(long.code, 2);
  assertMatch(
    long.err,
    /^error: Cannot plan for prompts of 513 tokens: emoji-nano takes at most \d+\n$/,
  );

  const odd = await plan("-m", "2b", "-W", "1000", "-H", "1000", "--prompt-tokens", "8");
  assertEquals(odd.err, "warning: Using 1024x1024, the official size nearest to 1000x1000\n");
});

Deno.test("plan: stages a model that does not fit, or says in one line what would fit", () =>
  inFolder(async (cwd) => {
    const plan = (limit: string) => {
      const args = ["plan", "-m", "8b", "-W", "1024", "-H", "1024", "--type", "q8_0"];
      return ended(start([...args, "--prompt-tokens", "64", "--max-vram", limit], { cwd }));
    };
    const fits = await plan("19G");
    assertEquals(fits.code, 0, fits.err);
    assertStringIncludes(fits.out, "infinity-8b as q8_0, staged");
    const tight = await plan("16G");
    assertEquals(tight.code, 1);
    const line =
      /^error: Cannot fit infinity-8b into 16 GB: it needs \d+ GB even in stages; it would fit as q4_0 \(\d+ GB\); choose it with --type\n$/;
    assert(line.test(tight.err), tight.err);
    for (
      const [args, said] of [
        [["-m", "3b"], 'Cannot find model "3b": there is no such folder'],
        [["--max-vram", "lots"], "Cannot read --max-vram"],
        [["--width", "512"], "512"],
      ] as const
    ) {
      const { code, err } = await ended(start(["plan", ...args], { cwd }));
      assert(code > 0 && err.includes(said) && err.trim().split("\n").length === 1, err);
    }
  }));

Deno.test("generate: --max-vram makes the same image in stages, or leaves no file", () =>
  inFolder(async (cwd) => {
    const run = (...args: string[]) =>
      ended(start(["generate", "red apple", "-s", "3", ...args], { cwd }));
    assertEquals((await run("-o", "whole.png")).code, 0);
    const staged = await run("-o", "staged.png", "--max-vram", "32M");
    assertEquals(staged.code, 0, staged.err);
    const read = (name: string) => Deno.readFile(join(cwd, name));
    assertEquals(await read("staged.png"), await read("whole.png"));
    const none = await run("-o", "none.png", "--max-vram", "1M");
    assertEquals([none.code, none.said.length], [1, 1]);
    assertStringIncludes(none.err, "error: Cannot fit emoji-nano into 1 MB");
    const json = await Deno.readTextFile(new URL("config.json", NANO));
    const config = parseConfig(JSON.parse(json), "config.json");
    const found = await surveyAdapter(navigator.gpu);
    const here = { ...adapterOptions(found!), staged: true };
    const { peak } = await planMemory(config, here);
    const just = await run("-o", "staged.png", "--overwrite", "--max-vram", `${peak}`);
    assertEquals(just.code, 0, just.err);
    const less = await run("-o", "none.png", "--max-vram", `${peak - 1}`);
    assertEquals(less.code, 1, less.err);
    assertEquals(filesIn(cwd), ["staged.png", "whole.png"]);
  }));

Deno.test("generate: --synthetic refuses an unknown preset", () =>
  inFolder(async (cwd) => {
    for (
      const [args, said] of [
        [["--synthetic", "3b"], 'Cannot use preset "3b": it must be one of 125m'],
        [["--synthetic", "125m", "-m", "x"], "Cannot use --model and --synthetic together"],
      ] as const
    ) {
      const { code, said: lines } = await ended(start(["generate", "cat", ...args], { cwd }));
      assertEquals([code, lines.length], [2, 1]);
      assertStringIncludes(lines[0]!, said);
    }
    assertEquals(filesIn(cwd), []);
  }));

Deno.test("plan --lora: what finetuning a preset or a model in the box holds, without a GPU", () =>
  inFolder(async (cwd) => {
    const plan = async (...args: string[]) => {
      const { code, out, err } = await ended(start(["plan", ...args], { cwd, env: NO_GPU }));
      return { code, out, err };
    };
    const big = ["-m", "2b", "--type", "q8_0", "--lora", "16", "--dtype", "f16"];
    const { code, out, err } = await plan(...big, "--scales", "10");
    assertEquals([code, err], [0, ""]);
    assertMatch(
      out,
      /^infinity-2b as q8_0, finetuned with adapters of rank 16, 1 image a pass\nPeak 1\d GB\nWith --recompute [45](\.\d)? GB\n$/,
    );
    const again = await plan(...big, "--recompute", "-b", "2", "--json");
    const { peak, ...rest } = JSON.parse(again.out);
    assertEquals(rest, { model: "infinity-2b", type: "q8_0", lora: 16, batch: 2, recompute: true });
    assert(peak > 7e9 && peak < 20e9, `${peak}`);
    const tight = await plan(...big, "-b", "8", "--max-vram", "12G");
    assertEquals(tight.code, 1);
    assertMatch(
      tight.err,
      /^error: Cannot train the transformer with batch 8: a step needs \d+ GB, and there are 12 GB; batch 1 with recompute would fit; [^\n]*\n$/,
    );
    for (
      const [flags, said] of [
        [["--lora", "4", "-W", "512"], "Cannot use --width with --lora"],
        [["--recompute"], "Cannot use --recompute without --lora"],
      ] as const
    ) {
      const { code, err } = await plan(...flags);
      assertEquals([code, err.includes(said)], [2, true], err);
    }
    const box = await plan("--lora", "4", "-m", "emoji-nano");
    assertMatch(box.out, /^emoji-nano as f16, .*\nPeak \d+ MB\n/);
  }));

Deno.test("plan --train: what the stages of a CONFIG.json hold, or which batch would fit, without a GPU", () =>
  inFolder(async (cwd) => {
    await writeTraining(cwd);
    const plan = (...args: string[]) => ended(start(["plan", ...args], { cwd, env: NO_GPU }));
    const { code, out, err } = await plan("--train", "c.json");
    assertEquals(code, 0, err);
    assertMatch(
      out,
      /^tiny, trained by c\.json\n +stage +batch +recompute +peak\n +tokenizer +1 +no +\d.*\ntransformer.*\n +decoder.*\n$/,
    );
    const { stages } = JSON.parse((await plan("--train", "c.json", "--json")).out);
    const [{ stage, batch, recompute, peak }] = stages;
    assertEquals([stage, batch, recompute, peak > 1e6], ["tokenizer", 1, false, true]);
    const tight = await plan("--train", "c.json", "--max-vram", `${Math.round(0.8 * peak)}`);
    assertEquals([tight.code, tight.out], [1, ""]);
    assertMatch(
      tight.err,
      /\nerror: Cannot train the tokenizer with batch 1: a step needs .*, and there are .*; [^\n]*\n$/,
    );
    for (
      const [args, said] of [
        [["--train", "c.json", "-m", "2b"], "Cannot use --model with --train"],
        [["--train", "none.json"], 'Cannot read "none.json": no such file'],
      ] as const
    ) {
      const { code, err } = await plan(...args);
      assertEquals(
        [code > 0, err.includes(said), err.trim().split("\n").length],
        [true, true, 1],
        err,
      );
    }
  }));
