import {
  assert,
  assertEquals,
  assertExists,
  assertInstanceOf,
  assertIsError,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path";
import { PNG } from "pngjs";

// Everything here is checked by the compiler: a type that rots to `any` makes `Is` false.
type Is<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
function is<A, B>(_: Is<A, B>): void {}

Deno.test("assert*() narrow their argument", async () => {
  const text = "a" as string | null;
  assert(text !== null);
  is<typeof text, string>(true);

  const item = [1].at(0);
  assertExists(item);
  is<typeof item, number>(true);

  const error: unknown = new RangeError("out");
  assertIsError(error, RangeError);
  is<typeof error, RangeError>(true);
  assertInstanceOf(error, RangeError);

  const thrown = assertThrows(() => fail(), TypeError);
  is<typeof thrown, TypeError>(true);
  const rejected = await assertRejects(() => Promise.reject(new TypeError()), TypeError);
  is<typeof rejected, TypeError>(true);

  // @ts-expect-error: the two sides must be of one type
  assertThrows(() => assertEquals(1, "1"));
});

function fail(): never {
  throw new TypeError("no");
}

Deno.test("parseArgs() types each flag", () => {
  const args = parseArgs(["-s", "7", "--greedy", "--tau=1", "--tau=2", "cat"], {
    string: ["seed", "tau", "output"],
    boolean: ["greedy"],
    collect: ["tau"],
    alias: { seed: "s" },
    default: { output: "out.png" },
  });
  is<typeof args.seed, string | undefined>(true);
  is<typeof args.output, string>(true);
  is<typeof args.tau, string[]>(true);
  is<typeof args.greedy, boolean>(true);
  is<typeof args._, (string | number)[]>(true);
  // @ts-expect-error: a flag that was never declared
  assertEquals(args.sede, undefined);
  assertEquals(args.seed, "7");
  assertEquals(args.output, "out.png");
  assertEquals(args.tau, ["1", "2"]);
  assertEquals(args.greedy, true);
  assertEquals(args._, ["cat"]);
});

Deno.test("join() and PNG are typed", () => {
  const path = join("a", "b.png");
  is<typeof path, string>(true);
  assertEquals(path, "a/b.png");
  is<PNG["width"], number>(true);
  assertEquals(new PNG({ width: 1, height: 2 }).height, 2);
});
