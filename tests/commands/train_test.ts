import "../backend.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "@std/path";
import { readLog, type Report } from "../../model/training/mod.ts";
import { ended, inFolder, MODEL, start } from "./process.ts";
import { writeTraining } from "./tiny_training.ts";

/** Steps, so many that a signal comes before the last ones. */
const STEPS = 16;
const TOKENIZER = ["train", "tokenizer", "c.json", "--steps", `${STEPS}`, "-o"];

/** Runs a command line to its end, which must be a good one. */
async function run(cwd: string, ...args: string[]) {
  const { code, out, err } = await ended(start(args, { cwd }));
  assertEquals(code, 0, err);
  return { out, err };
}

/** Ends a training by a signal once it has reported some steps. */
async function interrupt(cwd: string, output: string, signal: Deno.Signal, steps: number) {
  const process = start([...TOKENIZER, output], { cwd });
  const result = ended(process);
  const log = join(cwd, output, "log.jsonl");
  while ((await readLog(log).catch(() => [])).length < steps) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.kill(signal);
  return { ...await result, reached: await readLog(log) };
}

function assertSameCurve(log: readonly Report[], whole: readonly Report[]): void {
  assertEquals(log.map(({ step }) => step), whole.map(({ step }) => step));
  log.forEach(({ loss }, i) => assertAlmostEquals(loss, whole[i]!.loss, 1e-5));
}

Deno.test("train goes on after kill -9 and Ctrl-C with the same curve", () =>
  inFolder(async (cwd) => {
    await writeTraining(cwd);
    const logOf = (output: string) => readLog(join(cwd, output, "log.jsonl"));
    await run(cwd, ...TOKENIZER, "whole");
    const whole = await logOf("whole");
    assertEquals(whole.map(({ step }) => step), Array.from({ length: STEPS }, (_, i) => 1 + i));

    const killed = await interrupt(cwd, "killed", "SIGKILL", 4);
    assert(killed.reached.length < STEPS, "killed before its end");
    await run(cwd, ...TOKENIZER, "killed", "--resume");
    assertSameCurve(await logOf("killed"), whole);

    const { code, said, reached } = await interrupt(cwd, "stopped", "SIGINT", 3);
    assertEquals([code, said.at(-1)], [130, "Interrupted"]);
    await run(cwd, ...TOKENIZER, "stopped", "--resume");
    const stopped = await logOf("stopped");
    assertSameCurve(stopped, whole);
    // no step was done twice
    assertEquals(stopped.slice(0, reached.length), reached);

    const again = await ended(start([...TOKENIZER, "stopped"], { cwd }));
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "or go on from it; with --resume");
    const other = await ended(start([...TOKENIZER, "stopped", "--resume", "-s", "7"], { cwd }));
    assertEquals(other.code, 1);
    assertStringIncludes(other.err, "seed was 1 and is 7; use the settings it began with");
  }));

Deno.test("train all makes a model that generates, and finetune adapters for one", () =>
  inFolder(async (cwd) => {
    await writeTraining(cwd);
    const config = JSON.parse(await Deno.readTextFile(join(cwd, "c.json")));
    for (const stage of ["tokenizer", "transformer", "decoder"]) config[stage].steps = 2;
    config.name = "mine";
    await Deno.writeTextFile(join(cwd, "c.json"), JSON.stringify(config));
    const { out } = await run(cwd, "train", "all", "c.json", "-o", "made", "--json");
    const { stages } = JSON.parse(out);
    const steps = stages.map(({ stage, step }: { stage: string; step: number }) => [stage, step]);
    assertEquals(steps, [["tokenizer", 2], ["transformer", 2], ["decoder", 2]]);
    await run(cwd, "generate", "rocket", "-m", "made", "-o", "rocket.png");
    const inspected = await run(cwd, "inspect", "rocket.png");
    assertStringIncludes(inspected.out, "Model: mine");

    // all weights, and a training that ends by the clock
    await run(cwd, "finetune", MODEL, "tiles", "-o", "whole", "--steps", "2", "--batch", "2");
    await run(cwd, "generate", "red apple", "-m", "whole", "-o", "whole.png");
    const timed = await run(
      cwd,
      "train",
      "tokenizer",
      "c.json",
      "-o",
      "timed",
      "--minutes",
      "0.05",
    );
    assertStringIncludes(timed.out, "vae.safetensors");
    assert((await readLog(join(cwd, "timed", "log.jsonl"))).length > 0);

    config.transformer = { ...config.transformer, learning_rate: 10, warmup: 0, steps: 60 };
    await Deno.writeTextFile(join(cwd, "wild.json"), JSON.stringify(config));
    const wild = await ended(start(["train", "transformer", "wild.json", "-o", "timed"], { cwd }));
    assertEquals(wild.code, 1);
    const line =
      /^error: Cannot train on: not all numbers of step \d+ are finite; .* is the first that is not.*$/m;
    assertMatch(wild.err, line);

    const flags = ["-o", "style", "--lora", "2", "--steps", "2", "--batch", "2", "-p", "rocket"];
    await run(cwd, "finetune", MODEL, "tiles", ...flags);
    const lora = "style/lora.safetensors:0.5";
    await run(cwd, "generate", "red apple", "--lora", lora, "-o", "apple.png");
    const apple = await run(cwd, "inspect", "apple.png");
    assertStringIncludes(apple.out, "red apple <lora:style:0.5>");
    const refused = await ended(
      start(["generate", "rocket", "-m", "made", "--lora", lora], { cwd }),
    );
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.err, 'Cannot use LoRA "style"');
  }));
