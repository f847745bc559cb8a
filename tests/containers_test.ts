import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
// deno-lint-ignore no-import-prefix -- only this test needs it
import { parse } from "npm:deno-std@1.4.0/yaml/mod.js";
import { COMMANDS } from "../commands/registry.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** What this test reads of a service. */
interface Service {
  readonly image?: string;
  readonly command?: string | readonly string[];
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
}

/** What this test reads of a compose file. */
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, unknown>>;
}

async function readCompose(name: string): Promise<Compose> {
  return parse(await Deno.readTextFile(join(ROOT, name))) as Compose;
}

/** The instructions of the Dockerfile: comments left out, continued lines joined. */
async function readInstructions(): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, "Dockerfile"));
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return lines.join("\n").replaceAll("\\\n", " ").split("\n").filter(Boolean);
}

Deno.test("The Dockerfile copies what is there and what Docker is shown, and does not run as root", async () => {
  const instructions = await readInstructions();
  const ignore = (await Deno.readTextFile(join(ROOT, ".dockerignore"))).trim().split("\n");
  const copied = instructions.filter((line) => line.startsWith("COPY --chown"))
    .flatMap((line) => line.split(/\s+/).slice(2, -1));
  assert(copied.length > 8);
  for (const path of copied) {
    await Deno.stat(join(ROOT, path));
    assert(ignore.includes(`!${path}`), `.dockerignore hides ${path}`);
  }
  assertEquals(ignore.slice(1).map((line) => line.slice(1)).sort(), [...new Set(copied)].sort());
  const user = instructions.indexOf("USER bitwise");
  const entry = instructions.findIndex((line) => line.startsWith("ENTRYPOINT"));
  assert(user > 0 && user < entry);
});

Deno.test("The Dockerfile has the Deno that set-up installs, and starts the command line without downloads", async () => {
  const instructions = await readInstructions();
  const version = /^DENO=(\S+)/m.exec(await Deno.readTextFile(join(ROOT, "setup.sh")))?.[1];
  assert(instructions.includes(`ARG DENO=${version}`));
  const entry = instructions.find((line) => line.startsWith("ENTRYPOINT"))!;
  const words: string[] = JSON.parse(entry.replace("ENTRYPOINT ", ""));
  assertEquals([words[0], words[1], words.at(-1)], ["deno", "run", "cli.ts"]);
  assert(words.includes("--cached-only") && words.includes("--no-prompt"));
});

Deno.test("compose.yaml's volumes, secrets and services exist, and its commands take their flags", async () => {
  const compose = await readCompose("compose.yaml");
  assertEquals(Object.keys(compose.services).sort(), ["front", "redis", "worker"]);
  for (
    const { command, image, secrets = [], volumes = [], depends_on } of Object.values(
      compose.services,
    )
  ) {
    for (const name of secrets) assert(name in compose.secrets!, `no secret ${name}`);
    for (const name of Object.keys(depends_on ?? {})) assert(name in compose.services);
    for (const [name] of volumes.map((volume) => volume.split(":"))) {
      assert(name!.startsWith(".") || name! in compose.volumes!, `no volume ${name}`);
    }
    if (image !== "bitwise") continue;
    const [name, ...flags] = command as string[];
    assert(Object.hasOwn(COMMANDS, name!), `no command ${name}`);
    // flags are read before the help is shown
    const args = ["run", "-A", "cli.ts", name!, ...flags, "--help"];
    const ended = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
    assertEquals(new TextDecoder().decode(ended.stderr), "");
    assertEquals(ended.code, 0);
  }
});

Deno.test("The compose files for GPUs change services that compose.yaml has", async () => {
  const { services } = await readCompose("compose.yaml");
  for (const name of ["compose.nvidia.yaml", "compose.dri.yaml"]) {
    const changed = Object.keys((await readCompose(name)).services);
    assertEquals(changed.filter((service) => !(service in services)), []);
    assertEquals(changed, ["worker"]);
  }
});
