import { join } from "../../deps/@std/path.ts";
import {
  BitwiseError,
  Device,
  FileError,
  formatBytes,
  InputError,
  mayUse,
  quote,
  readEnv,
  type Tuning,
} from "../../engine/mod.ts";
import { backwardMatrices } from "../../kernels/attention/attention_backward_matrix.ts";
import { provesBackward } from "../../kernels/attention/attention_backward_proof.ts";
import { onePass } from "../../kernels/attention/attention_one_pass.ts";
import { provesOnePass } from "../../kernels/attention/attention_proof.ts";
import { CHOICES } from "../../kernels/shared/variants.ts";
import { fileSource, makeFolder, writeFileAtomic } from "../checkpoint/files.ts";

/** Path of the file with an adapter's measured tuning; null without a home directory. */
export function tuningFile(
  { capabilities: { adapter, architecture, implementation, subgroupSize } }: Device,
  env: (name: string) => string | undefined,
): string | null {
  const cache = env("XDG_CACHE_HOME") || join(env("HOME") || env("USERPROFILE") || "", ".cache");
  if (cache === ".cache") return null;
  const name = [adapter, architecture, implementation, subgroupSize].join(" ");
  const slug = name.replace(/[^A-Za-z0-9.]+/g, "-");
  return join(cache, "bitwise", "tuning", `${slug}.json`);
}

/** Bytes of a tuning file at most: one with every choice has about two thousand. */
const MAX_BYTES = 65536;

/**
 * Reads the tuning saved for this adapter; empty without such a file or the permission to look for it. A file that is
 * not a tuning is ignored, since everything goes without one, and `warn` gets a line that names it.
 */
export async function savedTuning(
  device: Device,
  warn: (line: string) => void = () => {},
): Promise<Tuning> {
  const path = tuningFile(device, readEnv);
  if (path === null || !mayUse({ name: "read", path })) return {};
  try {
    const source = await fileSource(path);
    try {
      if (source.size > MAX_BYTES) {
        const most = formatBytes(MAX_BYTES);
        throw refusal(path, `it has ${formatBytes(source.size)}, a tuning at most ${most}`);
      }
      return parseTuning(new TextDecoder().decode(await source.read(0, source.size)), path);
    } finally {
      source.close();
    }
  } catch (error) {
    if (error instanceof FileError && error.code === "file-not-found") return {};
    const { message } = error instanceof BitwiseError ? error : refusal(path, "it cannot be read");
    warn(`Measured tuning ignored: ${message}`);
    return {};
  }
}

function refusal(path: string, why: string): InputError {
  return new InputError(
    "bad-tuning",
    `Cannot use ${quote(path)}: ${why}; delete the file or measure again`,
    { hint: "tune-again" },
  );
}

/** A variant on tensor cores that is taken where it proves to be right: they have been wrong in silence before. */
const TO_PROVE = {
  "attention matrix": { variant: "one-pass", exists: onePass, proves: provesOnePass },
  "attention backward": { variant: "matrix", exists: backwardMatrices, proves: provesBackward },
} as const;

/** A choice of which one variant is taken only where it proves to be right. */
export type Provable = keyof typeof TO_PROVE;

/** Proofs of this process, by adapter, choice and width of heads. */
const PROOFS = new Map<string, Promise<boolean>>();

/**
 * The tuning to use on a device that `gpu` opened: what was saved, and of each of `choices` that was not measured, the
 * variant on tensor cores where it proves to be right for heads of these widths. A proof takes a second where shaders
 * must be compiled, and runs on a device of its own, so that whatever fails there leaves no trace.
 */
export async function provenTuning(
  device: Device,
  gpu: GPU | undefined,
  widths: readonly number[],
  choices: readonly Provable[],
  warn?: (line: string) => void,
): Promise<Tuning> {
  const tuning: Record<string, Tuning[string]> = { ...await savedTuning(device, warn) };
  if (device.capabilities.class !== "gpu") return tuning;
  for (const choice of choices) {
    const { variant, exists } = TO_PROVE[choice];
    if (Object.hasOwn(tuning, choice) || !widths.every((width) => exists(device, width))) continue;
    if (!await allProve(device, gpu, choice, widths)) continue;
    device.debug?.variant(choice, variant, "proved on this adapter");
    tuning[choice] = [[0, variant]];
  }
  return tuning;
}

/** The tuning to train with: {@link provenTuning} of attention forwards and backwards. */
export function trainingTuning(
  device: Device,
  gpu: GPU | undefined,
  widths: readonly number[],
  warn?: (line: string) => void,
): Promise<Tuning> {
  return provenTuning(device, gpu, widths, ["attention matrix", "attention backward"], warn);
}

async function allProve(
  device: Device,
  gpu: GPU | undefined,
  choice: Provable,
  widths: readonly number[],
): Promise<boolean> {
  const { adapter, implementation } = device.capabilities;
  for (const width of widths) {
    const key = [adapter, implementation, choice, width].join();
    let proof = PROOFS.get(key);
    if (!proof) PROOFS.set(key, proof = proves(device, gpu, choice, width));
    if (!await proof) return false;
  }
  return true;
}

async function proves(
  { capabilities }: Device,
  gpu: GPU | undefined,
  choice: Provable,
  width: number,
): Promise<boolean> {
  try {
    using device = await Device.open({ gpu, class: capabilities.class });
    return await TO_PROVE[choice].proves(device, width);
  } catch {
    return false; // the other variant needs no proof
  }
}

/**
 * Parses a file written by {@link saveTuning}.
 *
 * @throws {InputError} `bad-tuning`: the file holds something else.
 */
export function parseTuning(text: string, path: string): Tuning {
  const refuse = (why: string) => refusal(path, why);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuse("it is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw refuse("it is not an object");
  }
  const known = Object.entries(json).filter(([kernel]) => Object.hasOwn(CHOICES, kernel)); // other versions have other kernels
  for (const [kernel, steps] of known) {
    const { variants } = CHOICES[kernel as keyof typeof CHOICES];
    const good = Array.isArray(steps) &&
      steps.every((step) =>
        Array.isArray(step) && step.length === 2 && typeof step[0] === "number" &&
        (variants as readonly unknown[]).includes(step[1])
      );
    if (!good) {
      throw refuse(
        `${quote(kernel)} must be a list of pairs: a size and one of ${variants.join(", ")}`,
      );
    }
  }
  return Object.fromEntries(known);
}

/**
 * Saves an adapter's measured tuning and returns the path.
 *
 * @throws {InputError} `no-home`: there is no home directory.
 */
export async function saveTuning(device: Device, tuning: Tuning): Promise<string> {
  const path = tuningFile(device, readEnv);
  if (path === null) {
    throw new InputError("no-home", "Cannot save the tuning: set XDG_CACHE_HOME to a folder");
  }
  await makeFolder(join(path, ".."));
  await writeFileAtomic(path, new TextEncoder().encode(`${JSON.stringify(tuning, null, 2)}\n`));
  return path;
}
