import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { encodeSafetensors } from "../../engine/mod.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import { parseParameters } from "../../model/generate/plan/parameters.ts";
import { decodePng } from "../decode_png.ts";
import { readPngText } from "../../model/image/png.ts";
import { ended, filesIn, inFolder, start } from "./process.ts";

/** Runs `generate`, asserts that it succeeds without a message, and returns stdout. */
async function run(cwd: string, ...args: string[]): Promise<string> {
  const { code, out, err, said } = await ended(start(["generate", ...args], { cwd }));
  assertEquals([code, said], [0, []], err);
  return out;
}

Deno.test("generate: a batch, its trace, and each image again from its own parameters", () =>
  inFolder(async (cwd) => {
    const report = JSON.parse(
      await run(
        cwd,
        ...["Red Apple", "-n", "pizza, cut", "-b", "2", "-s", "6", "--cfg-scale", "3,2.5,2,9"],
        ...["--cfg-until", "3", "--fast", "prune,kv"],
        ...["--top-p", "0.9", "-o", "x.png", "--trace", "t.safetensors", "--json"],
      ),
    );
    assertEquals(report.images.map(({ path }: { path: string }) => path), ["x-1.png", "x-2.png"]);
    assertEquals(report.images.map(({ seed }: { seed: number }) => seed), [6, 7]);
    assertEquals([report.model, report.warnings], ["emoji-nano", []]);
    assert(report.seconds.total > 0 && report.adapter);
    assert(report.peakBytes > 30e6, `${report.peakBytes} bytes hold the weights at least`);

    const file = await Deno.readFile(join(cwd, "x-2.png"));
    const of = parseParameters(readPngText(file).parameters!);
    assertEquals(report.images[1].parameters, readPngText(file).parameters);
    assertEquals([of.cfgScale, of.fast], [[3, 2.5, 2, 1], ["kv", "prune"]]);
    await run(
      cwd,
      ...["-p", of.prompt!, `-n${of.negativePrompt}`, "-s", `${of.seed}`],
      ...["--cfg-scale", `${of.cfgScale}`, "--tau", `${of.tau}`, "--top-p", `${of.topP}`],
      ...["--fast", `${of.fast}`],
      ...["--schedule", of.schedule!.map(([h, w]) => `${h}x${w}`).join()],
    );
    assertEquals(await Deno.readFile(join(cwd, "output.png")), file);

    // the bits of the trace make the same images, whatever the seed
    await run(
      cwd,
      "pizza",
      "-q",
      "-b",
      "2",
      "-s",
      "-1",
      "--force-bits",
      "t.safetensors",
      "-o",
      "f.png",
    );
    const pixels = async (name: string) => decodePng(await Deno.readFile(join(cwd, name))).rgba;
    assertEquals(await pixels("f-2.png"), await pixels("x-2.png"));
    const names = ["f-1.png", "f-2.png", "output.png", "t.safetensors", "x-1.png", "x-2.png"];
    assertEquals(filesIn(cwd), names);
  }));

Deno.test("generate: features and uniforms from files", () =>
  inFolder(async (cwd) => {
    const features = new Float32Array(5 * 256).map((_, i) => Math.sin(i));
    const lens = new Int32Array([3, 2]);
    await Deno.writeFile(
      join(cwd, "f.safetensors"),
      encodeSafetensors([
        { name: "features", dtype: "F32", shape: [5, 256], data: features },
        { name: "lens", dtype: "I32", shape: [2], data: lens },
      ]),
    );
    // 0 is below every probability, 1 below none
    const uniforms = [0, 1].map((value, i) => ({
      name: `scale${i}.uniforms`,
      dtype: "F32" as const,
      shape: [2, i + 1, i + 1, 32],
      data: new Float32Array(2 * (i + 1) ** 2 * 32).fill(value),
    }));
    await Deno.writeFile(join(cwd, "u.safetensors"), encodeSafetensors(uniforms));
    const files = ["--text-features", "f.safetensors", "--sampler-uniforms", "u.safetensors"];
    const out = await run(cwd, ...files, "--trace", "t.safetensors");
    assertEquals(out, "output-1.png\noutput-2.png\n");
    const trace = await openTensorFile(join(cwd, "t.safetensors"));
    assertEquals(await trace.readFloat32("text.features"), features);
    assertEquals(await trace.readFloat32("scale0.bits"), new Float32Array(64).fill(1));
    assertEquals(await trace.readFloat32("scale1.bits"), new Float32Array(256).fill(0));
    assertEquals(trace.get("image").shape, [2, 32, 32, 3]);
    trace.close();

    const turned = uniforms.map((u, i) => ({ ...u, shape: i ? [2, 1, 4, 32] : u.shape }));
    await Deno.writeFile(join(cwd, "u.safetensors"), encodeSafetensors(turned));
    const { code, said } = await ended(start(["generate", ...files], { cwd }));
    const why = 'Cannot use "u.safetensors": scale 1 is [2, 1, 4, 32], not [2, 2, 2, 32]';
    assertEquals([code, said], [2, [`error: ${why}`]]);
  }));

Deno.test("generate: one image to stdout", () =>
  inFolder(async (cwd) => {
    const { stdout, stderr, code } = await start(["generate", "red", "apple", "-o", "-"], { cwd })
      .output();
    assertEquals([code, filesIn(cwd)], [0, []]);
    assertStringIncludes(new TextDecoder().decode(stderr), "Scale 4/4: 4x4 tokens, ");
    assertEquals(decodePng(stdout).width, 32);
    assertStringIncludes(readPngText(stdout).parameters!, "red apple\nSteps: 4, ");
  }));
