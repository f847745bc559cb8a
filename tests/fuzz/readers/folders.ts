// Folders that were downloaded: the cache of a hub, and models in pieces.
import { basename, normalize } from "@std/path";
import { findRelease, presetOf } from "../../../model/release/find_release.ts";
import { PRESETS, TEXT_ENCODER, VAES } from "../../../model/config/presets.ts";
import { chosenSnapshot } from "../../../model/release/hub/snapshots.ts";
import { mutateText, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { inFolder } from "../in_folder.ts";
import { claim, reader } from "../reader.ts";

const COMMITS = ["1".repeat(40), "f".repeat(40), "0123456789abcdef0123456789abcdef01234567"];
const NAMES = [
  ...[...PRESETS.values()].flatMap(({ file }) => file ?? []),
  ...Object.values(VAES).flatMap(({ files }) => files),
  ...[TEXT_ENCODER.tokenizer, TEXT_ENCODER.weights, "model.safetensors", "pytorch_model.bin"],
  ...[
    "vae.pth",
    "my_vae.safetensors",
    "model-00001-of-00002.safetensors",
    "x.safetensors.index.json",
  ],
];

/** A path that a system can hold. */
function path(random: Random): string {
  const name = random.chance(0.7)
    ? random.pick(NAMES)
    : random.chance(0.5)
    ? mutateText(random, random.pick(NAMES))
    : text(random);
  const parts = name.toWellFormed().split("/").map((part) =>
    part.replaceAll("\0", "").slice(0, 60).replace(/^\.{0,2}$/, "_")
  );
  return parts.slice(0, 4).join("/");
}

/** Paths of empty files in one folder, often enough for a model. */
function paths(random: Random, ...complete: readonly string[]): string[] {
  const right = complete.filter(() => random.chance(0.9)).map((name) => `a/t5/${name}`);
  return [...random.chance(0.7) ? right : [], ...random.list(0, 5, () => path(random))];
}

/** The files of a release. */
function filesOf(preset: string): string[] {
  const { file, vae } = PRESETS.get(preset)!;
  return [file ?? "x.pth", VAES[vae].files[0]!, TEXT_ENCODER.tokenizer, "model.safetensors"];
}

export const release = reader({
  usesFiles: true,
  make(random) {
    const preset = random.pick([...PRESETS.keys()]);
    return { preset, files: paths(random, ...filesOf(preset)) };
  },
  async read({ files, preset }) {
    await inFolder(files.map((file) => [file, ""]), async (folder) => {
      let refusal: unknown;
      const name = await presetOf(folder).then(({ name }) => name, (error) => {
        refusal = error;
        return preset;
      });
      const { transformer, vae, text } = await findRelease(folder, PRESETS.get(name)!);
      for (const path of [transformer, vae, ...text ? [text.weights, text.tokenizer] : []]) {
        claim(path.startsWith(normalize(folder)), `a path in the folder, not ${path}`);
        claim((await Deno.stat(path)).isFile, "a file that exists");
      }
      if (refusal !== undefined) throw refusal;
    });
  },
});

export const hubCache = reader({
  usesFiles: true,
  make: (random) => ({
    commits: random.list(0, 3, () => random.chance(0.9) ? random.pick(COMMITS) : path(random)),
    main: random.chance(0.8) ? random.pick(COMMITS) : random.chance(0.5) ? "../.." : text(random),
    files: paths(random, ...filesOf("infinity-2b")),
  }),
  async read({ commits, main, files }) {
    const all = commits.flatMap((commit) => files.map((file) => `snapshots/${commit}/${file}`));
    const refs = [["refs/main", main] as const];
    await inFolder([...refs, ...all.map((file) => [file, ""] as const)], async (folder) => {
      const { snapshot, all } = await chosenSnapshot(folder);
      claim(snapshot === null || all.includes(snapshot), `a folder that is there, not ${snapshot}`);
      // a backslash separates on Windows alone
      const isName = (text: string) => basename(text) === text && !/^\.\.?$/.test(text);
      claim(snapshot === null || isName(snapshot), "a name");
      await findRelease(folder, PRESETS.get("infinity-2b")!);
    });
  },
});
