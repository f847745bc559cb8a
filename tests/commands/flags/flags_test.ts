import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { help, parseFlags, UsageError } from "../../../commands/flags/flags.ts";
import { integer, numbers, on, oneOf, path, seed, text } from "../../../commands/flags/types.ts";

const SPEC = {
  name: "paint",
  summary: "Paints.",
  words: "[WORDS]",
  flags: {
    "prompt": { alias: "p", type: text, many: true, help: "What to paint" },
    "seed": { alias: "s", type: seed, help: "Seed" },
    "width": { alias: "W", type: integer, help: "Width" },
    "tau": { type: numbers, help: "Temperature" },
    "output": { alias: "o", type: path, help: "File" },
    "type": { type: oneOf("f32", "f16", "q8_0"), help: "Storage" },
    "greedy": { alias: "g", type: on, help: "Greedy" },
  },
} as const;

const parse = (...args: string[]) => parseFlags(SPEC, args);

Deno.test("parseFlags() reads every way to write a value", () => {
  assertEquals(parse("-s", "-1", "--tau", "1,.5", "-W64", "--type=f16", "-g", "-o", "-"), {
    values: { seed: -1n, tau: [1, 0.5], width: 64, type: "f16", greedy: true, output: "-" },
    words: [],
    help: false,
  });
  assertEquals(parse("--tau=-2").values, { tau: -2 });
  assertEquals(parse("-p=x", "-pred apple").values, { prompt: ["x", "red apple"] });
  assertEquals(parse("-s18446744073709551615").values, { seed: 2n ** 64n - 1n });
});

Deno.test("parseFlags() takes texts as they are", () => {
  assertEquals(parse("-p", "--odd=1", "--prompt", "", "--prompt=a=b\nc").values, {
    prompt: ["--odd=1", "", "a=b\nc"],
  });
  assertEquals(parse("7", "1e3", "--", "-s", "--x").words, ["7", "1e3", "-s", "--x"]);
});

Deno.test("parseFlags() lets the last of several values count", () => {
  assertEquals(parse("-s", "1", "--seed", "2").values, { seed: 2n });
});

Deno.test("parseFlags() refuses with one line", () => {
  const refuses = (args: string[], message: string) =>
    assertEquals(assertThrows(() => parse(...args), UsageError).message, message);
  refuses(["--sed", "3"], "Unknown flag --sed for paint: did you mean --seed?");
  refuses(["--tua=3"], "Unknown flag --tua for paint: did you mean --tau?");
  refuses(["--out", "x"], "Unknown flag --out for paint: did you mean --output?");
  refuses(["--temperature", "1"], "Unknown flag --temperature for paint: did you mean --tau?");
  refuses(["--cfg", "2"], "Unknown flag --cfg for paint: see --help");
  refuses(["-x"], "Unknown flag -x for paint: see --help");
  refuses(["-x5"], "Unknown flag -x for paint: see --help");
  refuses(["--toString", "3"], "Unknown flag --toString for paint: see --help");
  refuses(["--secre"], "Unknown flag --secre for paint: see --help");
  refuses(["--seed"], `Flag --seed for paint needs a value: ${seed.need}`);
  refuses(["-p", "--seed", "3"], "Flag -p for paint needs a value: text");
  refuses(["-W", "1.5"], 'Cannot read --width "1.5": it must be a whole number');
  refuses(["-s", "-2"], `Cannot read --seed "-2": it must be ${seed.need}`);
  refuses(["-s", `${2n ** 64n}`], `Cannot read --seed "${2n ** 64n}": it must be ${seed.need}`);
  refuses(["--tau", "1,,2"], `Cannot read --tau "1,,2": it must be ${numbers.need}`);
  refuses(["--type", "f8"], 'Cannot read --type "f8": it must be f32, f16 or q8_0');
  for (const tau of ["0x10", "0b1", "1e999", "1_000", "Infinity", "٣", "1 2", "."]) {
    refuses(["--tau", tau], `Cannot read --tau "${tau}": it must be ${numbers.need}`);
  }
  for (const arg of ["--_=x", "--_", "-_", "-x_"]) {
    refuses([arg], `Unknown flag ${arg.replace(/=.*/, "")} for paint: see --help`);
  }
  refuses(["--help=maybe"], 'Cannot read --help "maybe": it must be true or false');
  refuses(["-o", ""], 'Cannot read --output "": it must be a file name');
});

Deno.test("parseFlags() refuses words where a command takes none", () => {
  const error = assertThrows(
    () => parseFlags({ ...SPEC, words: "" }, ["apple"]),
    UsageError,
  );
  assertEquals(error.message, 'Cannot use "apple": paint takes flags only, see --help');
});

Deno.test("help() shows each flag", () => {
  assertEquals(parse("--help", "-W", "x").help, true);
  const shown = help({ ...SPEC, notes: ["Note"] });
  assertStringIncludes(shown, "Usage: bitwise paint [FLAGS] [WORDS]");
  assertStringIncludes(shown, "  -p, --prompt TEXT   ");
  assertStringIncludes(shown, "      --tau N[,N…]    ");
});
