import "./backend.ts";
import { assert, assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { inFolder } from "./commands/process.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** The documents whose commands, code and links are checked. */
const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  ...[...Deno.readDirSync(join(ROOT, "docs"))].map(({ name }) => `docs/${name}`).sort(),
];

/** Commands that are not run here, by how they begin, and why. */
const NOT_RUN: readonly (readonly [begins: string, reason: string])[] = [
  ["./setup.sh", "installs software; .ci/run runs it, and the demo"],
  ["git clone", "needs the network"],
  ["deno install", "changes the user's machine; tests/package does it in a folder"],
  ["deno task ok", "runs this test"],
  ["deno task test", "runs this test"],
  ["deno task check", "is part of the gate that runs this test"],
  ["deno test", "is part of the gate that runs this test"],
  ["deno publish", "is part of the gate that runs this test"],
  ["deno task pull", "needs the network and gigabytes"],
  ["deno task convert DOWNLOADS", "needs a downloaded checkpoint"],
  ["deno task worker", "works until it is ended"],
  ["deno task batch prompts.jsonl -o pictures --redis", "needs a Redis and workers"],
  ["deno task train all", "takes an hour or more"],
  ["deno task finetune", "needs a folder of images"],
  ['deno task generate -m emoji-nano "red apple" --lora', "needs adapters"],
  ["deno task generate -m emoji-nano rocket --lora", "needs adapters"],
  ["deno task convert assets/models/emoji-nano --lora", "needs adapters"],
  ["deno task generate -m models/infinity-2b", "needs a downloaded checkpoint"],
  ["deno task generate --synthetic", "takes minutes on a CPU"],
  ["deno run --no-lock", "downloads Dawn, which needs the network and a GPU"],
  ["deno task bench", "takes minutes"],
  ["deno task serve", "serves until it is stopped"],
  ["bash bench/device.sh", "takes minutes"],
  ["curl http://127.0.0.1:8080/", "needs a server that runs"],
  ["openssl rand", "makes a secret"],
  ["docker compose", "needs Docker"],
  ["MODEL=/models/mine docker compose", "needs Docker"],
];

/** Folders at the top that hold no code of ours, or types alone. */
const NO_CODE = [".ci", ".git", ".github", "assets", "dist", "docs", "examples", "models", "types"];

interface Block {
  readonly file: string;
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of a document, without their fences. */
function blocksOf(file: string): Block[] {
  const text = Deno.readTextFileSync(join(ROOT, file));
  return [...text.matchAll(/^( *)```(\w*)[^\n]*\n(.*?)^\1```$/gms)]
    .map(([, , language = "", text = ""]) => ({ file, language, text }));
}

/** The commands of a block, without their comments. */
function commandsOf({ text }: Block): string[] {
  return text.split("\n").map((line) => line.replace(/(^|\s+)#\s.*$/, "").trim()).filter(Boolean);
}

/** Why a command is not run, or `undefined` if it is. */
function reasonNotToRun(command: string): string | undefined {
  return NOT_RUN.find(([begins]) => command.startsWith(begins))?.[1];
}

/** Of commands that are not run: those that read their flags before they show help, so that these are checked. */
const READS_FLAGS =
  /^deno (task (generate|batch|worker|pull|convert|bench|train|finetune) |run --no-lock .*(cli|bench\/main)\.ts )/;

/** The form of a command that is run here, if there is one. */
function runnable(command: string): string | undefined {
  if (!reasonNotToRun(command)) return command;
  return READS_FLAGS.test(command) ? `${command} --help` : undefined;
}

/** Runs a command in a shell and returns what it said, if it failed. */
async function failureOf(command: string, cwd: string): Promise<string | undefined> {
  // as on a newcomer's machine, which sets none of these
  const { BITWISE_DEBUG: _, BITWISE_MODEL: __, ...env } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", command],
    cwd,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", XDG_RUNTIME_DIR: cwd },
    stdin: "null",
  }).output();
  if (code === 0) return undefined;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("").trim();
  return `${command}\n  ended with ${code}: ${said.split("\n").slice(-12).join("\n  ")}`;
}

/** Whether an entry of the checkout is what commands made there, or the history. */
const isMade = (name: string) => /^(\.git|models|.*\.png|.*\.safetensors)$/.test(name);

/** Runs `test` in a copy of the checkout: through links, commands would need the permission to read their own code. */
async function inCheckout(test: (folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    for await (const { name } of Deno.readDir(ROOT)) {
      if (!isMade(name)) await copy(join(ROOT, name), join(folder, name));
    }
    await test(folder);
  });
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

/** Removes what commands wrote. */
async function clean(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!exists(join(ROOT, name)) || isMade(name)) {
      await Deno.remove(join(folder, name), { recursive: true });
    }
  }
}

const blocks = DOCUMENTS.flatMap(blocksOf);
const shell = blocks.filter(({ language }) => language === "sh");

Deno.test("Every command in the documents runs, or has flags that exist", async () => {
  const failures: string[] = [];
  const waiting = [...shell];
  // two at a time: a process spends most of its second on one core
  const run = async (folder: string) => {
    for (let block = waiting.shift(); block; block = waiting.shift()) {
      for (const command of commandsOf(block).map(runnable)) {
        const failure = command && await failureOf(command, folder);
        if (failure) failures.push(`${block.file}: ${failure}`);
      }
      await clean(folder);
    }
  };
  await Promise.all([inCheckout(run), inCheckout(run)]);
  assertEquals(failures, []);
});

Deno.test("No command in the documents permits everything, but for developers' tests and measurements", () => {
  const all = shell.flatMap(commandsOf).filter((command) => /\s(-A|--allow-all)\s/.test(command));
  assertEquals(all.filter((command) => !/^deno (test|run .*bench\/main\.ts)/.test(command)), []);
});

Deno.test("Commands that are not run name files that exist, and every exception is needed", async (t) => {
  const commands = shell.flatMap((block) =>
    commandsOf(block).map((command) => ({ command, file: block.file }))
  );
  const run = commands.filter(({ command }) => !reasonNotToRun(command));
  assert(run.length >= 25, `only ${run.length} commands are run`);
  await t.step("files", () => {
    const missing = commands.filter(({ command }) => reasonNotToRun(command)).flatMap(
      ({ command, file }) =>
        (command.match(/[\w./-]+\.(ts|sh|json|wgsl|png|jpg|safetensors)\b/g) ?? [])
          .filter((path) => !/^(--|mine\.|models\/)/.test(path) && !exists(join(ROOT, path)))
          .map((path) => `${file}: ${path} in ${command}`),
    );
    assertEquals(missing, []);
  });
  await t.step("exceptions", () => {
    const unused = NOT_RUN.filter(([begins]) =>
      !commands.some(({ command }) => command.startsWith(begins))
    );
    assertEquals(unused, []);
  });
});

Deno.test("The code in the documents compiles and runs, and that of the model with the default one", async () => {
  const documents = blocks.filter(({ language }) => language === "ts").map(({ file }) => file);
  assert(documents.includes("README.md"));
  const files = [...new Set(documents), "model/infinity.ts"];
  await inCheckout(async (folder) => {
    const failure = await failureOf(
      `"${Deno.execPath()}" test -A --doc ${files.join(" ")}`,
      folder,
    );
    assertEquals(failure, undefined);
  });
});

Deno.test("Links in the documents lead to files and headings", () => {
  const broken: string[] = [];
  for (const file of DOCUMENTS) {
    const text = Deno.readTextFileSync(join(ROOT, file)).replace(/```.*?```/gs, "");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path, heading] = target.split("#") as [string, string?];
      const found = path ? join(dirname(join(ROOT, file)), path) : join(ROOT, file);
      if (!exists(found)) broken.push(`${file}: ${target}`);
      else if (heading && !headingsOf(found).includes(heading)) broken.push(`${file}: ${target}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("Paths that the documents mention exist", () => {
  const missing = DOCUMENTS.flatMap((file) => {
    const text = Deno.readTextFileSync(join(ROOT, file)).replace(/```.*?```/gs, "");
    return [...text.matchAll(/`((?:[a-z_.]+\/)+[a-z0-9_.-]*)`/g)]
      .map(([, path = ""]) => path)
      .filter((path) => !path.startsWith("models/") && !path.startsWith("../"))
      .filter((path) => !exists(join(ROOT, path)))
      .map((path) => `${file}: ${path}`);
  });
  assertEquals(missing, []);
});

Deno.test("README describes the folders of code, and ARCHITECTURE every room of theirs", () => {
  const described = (file: string) =>
    [...Deno.readTextFileSync(join(ROOT, file)).matchAll(/^\| `([\w/]+\/)` +\| /gm)]
      .map(([, room]) => room!);
  const folders = (path: string) =>
    [...Deno.readDirSync(join(ROOT, path))].filter(({ name, isDirectory }) =>
      isDirectory && !NO_CODE.includes(name)
    ).map(({ name }) => `${path && `${path}/`}${name}`);
  const top = folders("");
  assertEquals(top.filter((folder) => !described("README.md").includes(`${folder}/`)), []);
  const rooms = top.filter((folder) => !["deps", "bench", "tests"].includes(folder)).flatMap(
    folders,
  );
  const names = described("ARCHITECTURE.md");
  assertEquals([...rooms, "engine"].filter((room) => !names.includes(`${room}/`)), []);
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The anchors that GitHub gives a document's headings. */
function headingsOf(path: string): string[] {
  return [...Deno.readTextFileSync(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")
  );
}
