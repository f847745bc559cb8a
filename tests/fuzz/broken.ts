// Readers that break one rule each, some of the time: the fuzzer must find them.
import process from "node:process";
import { InputError } from "../../engine/mod.ts";
import { runCases } from "./child.ts";
import { reader } from "./reader.ts";

/** A reader of digits, which misbehaves where one is 3. */
const broken = (misbehave: () => unknown) =>
  reader({
    make: (random) => random.bytes(1 + random.below(3)).map((byte) => byte % 4),
    read: (digits) => digits.includes(3) ? misbehave() : undefined,
  });

const refuse = (code: string, message: string) => () => {
  // the constructor would make the message right
  throw Object.assign(new InputError(code, ""), { message });
};
const kept: unknown[] = [];

/** By what they break. */
export const READERS = {
  good: broken(refuse("seven", "Cannot read a seven")),
  type: broken(() => (undefined as unknown as string).length),
  code: broken(refuse("Seven", "Cannot read a seven")),
  control: broken(refuse("seven", "Cannot read \x1b[2J")),
  long: broken(refuse("seven", "Cannot read ".repeat(200))),
  hang: broken(() => {
    while (true);
  }),
  slow: broken(() => {
    const start = process.cpuUsage();
    for (let spent = 0; spent < 1.1e6;) {
      const { user, system } = process.cpuUsage(start);
      spent = user + system;
    }
  }),
  memory: broken(() => kept.push(new Uint8Array(2 ** 28)) && kept.pop()),
  crash: broken(() => {
    while (true) kept.push(Array(2e7).fill(kept.length));
  }),
  exit: broken(() => Deno.exit(0)),
  never: broken(() => new Promise(() => {})),
  unhandled: broken(() => {
    Promise.reject(new TypeError("nobody waits"));
    return new Promise((done) => setTimeout(done));
  }),
  pollution: broken(() => Object.defineProperty(Object.prototype, `x${kept.push(0)}`, {})),
  file: broken(() => Deno.readTextFile("/etc/hostname").catch(() => "")),
  network: broken(() => fetch("https://example.com").catch(() => "")),
};

if (import.meta.main) await runCases(READERS);
