import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import map from "../browser/import_map.json" with { type: "json" };

/** From the ground up: a room may import from its own layer and those before it. */
const LAYERS = ["deps", "engine", "kernels", "model", "serve", "browser", "commands"];

/** The files that others import: everything that ships is reached from them. */
const ROOTS = [
  "mod.ts",
  "cli.ts",
  "model/types.ts",
  "model/training/mod.ts",
  "model/training/data/files/decode_worker.ts",
  "deps/deno_on_node.ts",
  "serve/engine/gpu_thread.ts",
  "serve/http/pictures/picture_worker.ts",
  "browser/mod.ts",
  "browser/build.ts",
  "browser/site/main.ts",
  // what stands in for files that need Deno, in bundles for browsers
  ...Object.values(map.imports).map((file) => join("browser", file)),
  "serve/page/main.tsx",
  "browser/build_page.ts",
];

/** The programs that measure, which nothing that ships imports. */
const BENCHES = [
  ...["run_main", "main", "evaluate", "fleet", "serve"].map((name) => `bench/${name}.ts`),
  "bench/studies/main.ts",
  "bench/peers/main.ts",
];

const HERE = fromFileUrl(new URL("..", import.meta.url));

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
  }[];
}

/** Who imports whom, from some files on, `import type` and `import()` included, as paths from the top. */
async function readImports(roots: readonly string[]): Promise<Map<string, Set<string>>> {
  const imports = new Map<string, Set<string>>();
  const path = (url: string) => relative(HERE, fromFileUrl(url)).replaceAll("\\", "/");
  for (const root of roots) {
    const args = ["info", "--json", root];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd: HERE }).output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
    for (const { specifier, dependencies = [] } of modules) {
      if (!specifier.startsWith("file:")) continue;
      const targets = dependencies.flatMap(({ code, type }) => [code, type])
        .map((target) => target?.specifier)
        .filter((target) => target?.startsWith("file:") && !target.endsWith(".json"));
      imports.set(path(specifier), new Set(targets.map((target) => path(target!))));
    }
  }
  return imports;
}

/** A way from a node back to itself, if there is one. */
function findCircle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (node: string): string[] => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return [];
    trail.push(node);
    for (const next of graph.get(node) ?? []) {
      const circle = visit(next);
      if (circle.length) return circle;
    }
    trail.pop();
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const circle = visit(node);
    if (circle.length) return circle;
  }
  return [];
}

/** The layer of a file: its top folder, or the top itself. */
function layer(file: string): number {
  const found = LAYERS.indexOf(file.split("/")[0]!);
  return found < 0 ? LAYERS.length : found;
}

const imports = await readImports(ROOTS);
const arrows = [...imports].flatMap(([from, targets]) =>
  [...targets].map((to) => [from, to] as const)
);

Deno.test("No file imports itself through others, not even for types", async () => {
  assertEquals(findCircle(imports), []);
  assertEquals(findCircle(await readImports(BENCHES)), []);
});

Deno.test("No room imports itself through other rooms", () => {
  const rooms = new Map<string, Set<string>>();
  for (const [from, to] of arrows) {
    const [one, other] = [dirname(from), dirname(to)];
    if (one !== other) rooms.set(one, (rooms.get(one) ?? new Set()).add(other));
  }
  assertEquals(findCircle(rooms), []);
});

Deno.test("Imports point down: deps ← engine ← kernels ← model ← serve ← browser ← commands, mod, cli", () => {
  const up = arrows.filter(([from, to]) => layer(to) > layer(from));
  assertEquals(up, []);
});

Deno.test("The engine in a tab knows no server", () => {
  const past = arrows.filter(([from, to]) =>
    from.startsWith("browser/") && to.startsWith("serve/") &&
    !/^serve\/(jobs|engine|page\/data)\//.test(to)
  );
  assertEquals(past, []);
});

Deno.test("A room that has an entry, mod.ts, is entered by it", () => {
  const entries = new Set([...imports.keys()].filter((file) => /.\/mod\.ts$/.test(file)));
  const past = arrows.filter(([from, to]) => {
    const entry = [...entries].find((entry) => to.startsWith(`${dirname(entry)}/`));
    return entry && to !== entry && !from.startsWith(`${dirname(entry)}/`);
  });
  assertEquals(past, []);
});

Deno.test("Every file of every room is imported by another", async () => {
  const unreached: string[] = [];
  const walk = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(`${HERE}/${folder}`)) {
      const path = `${folder}/${name}`;
      if (isDirectory) await walk(path);
      else if (/\.(tsx?|wgsl)$/.test(name) && !imports.has(path)) unreached.push(path);
    }
  };
  for (const folder of LAYERS) await walk(folder);
  assertEquals(unreached, []);
});

Deno.test("findCircle() finds one", () => {
  const graph = new Map([["a", new Set(["b"])], ["b", new Set(["c"])], ["c", new Set(["b"])]]);
  assertEquals(findCircle(graph), ["b", "c", "b"]);
  assertEquals(findCircle(new Map([["a", new Set(["b", "c"])], ["b", new Set(["c"])]])), []);
});
