import { assert, assertEquals } from "@std/assert";
import { basename, fromFileUrl } from "@std/path";
import { KERNEL_NAMES } from "../../bench/kernels/kernels.ts";

const KERNELS = new URL("../../kernels/", import.meta.url);
const TESTS = new URL("./", import.meta.url);

/** What several kernels share; its tests go by what they test. */
const SHARED = "shared";

/** Packs weights; matmul_test.ts and dequantise_test.ts read what it packs, bench row matmul times it. */
const PACKERS = ["linear/linear"];

/** Files of all rooms below `root` that end in `suffix`, as room/name without it. */
async function filesOf(root: URL, suffix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const room of Deno.readDir(fromFileUrl(root))) {
    if (!room.isDirectory || room.name === SHARED) continue;
    for await (const { name } of Deno.readDir(fromFileUrl(new URL(room.name, root)))) {
      if (name.endsWith(suffix)) found.push(`${room.name}/${name.slice(0, -suffix.length)}`);
    }
  }
  return found.sort();
}

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

/** Whether a file is a part of one of `launchers`: `attention_matrix` of `attention`. A backward pass stands alone. */
function partOf(file: string, launchers: readonly string[]): boolean {
  return !file.endsWith("_backward") &&
    launchers.some((launcher) => file.startsWith(`${launcher}_`));
}

const files = await filesOf(KERNELS, ".ts");
const sources = new Map<string, string>();
for (const file of files) {
  sources.set(file, await Deno.readTextFile(fromFileUrl(new URL(`${file}.ts`, KERNELS))));
}

/**
 * A launcher exports a function that has the file's name, takes a device, and returns nothing or the tensor that it
 * made.
 */
function launches(file: string): boolean {
  const name = camelCase(basename(file));
  const signature = new RegExp(
    `^export function ${name}\\(\\s*device: Device\\b[^]*?\\): (\\w+)`,
    "m",
  );
  return ["void", "Tensor"].includes(signature.exec(sources.get(file)!)?.[1] ?? "");
}

const named = files.filter(launches);
/** A backward pass is a launcher of its own beside that of its forward pass. */
const launchers = named.filter((file) => file.endsWith("_backward") || !partOf(file, named));

Deno.test("Every kernel has a launcher: a function of its file's name, or a variant of one", () => {
  const defining = files.filter((file) => /\bdefine(Kernel|Attention)\(/.test(sources.get(file)!));
  const orphans = defining.filter((file) =>
    !launchers.includes(file) && !partOf(file, launchers) && !PACKERS.includes(file)
  );
  assertEquals(orphans, []);
  assert(launchers.length > 20, `only ${launchers} found`);
});

Deno.test("Every launcher has its test, and every test its file", async () => {
  const tests = await filesOf(TESTS, "_test.ts");
  assertEquals(launchers.filter((file) => !tests.includes(file)), []);
  assertEquals(tests.filter((test) => !files.includes(test)), []);
});

Deno.test("Every launcher has its bench row, and every bench row its launcher", () => {
  assertEquals(KERNEL_NAMES.toSorted(), launchers.map((file) => basename(file)).sort());
});
