import { assertEquals, assertThrows } from "@std/assert";
import { add } from "../../../../model/training/ops/add.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { Tape } from "../../../../model/training/tape/tape.ts";
import type { Variable } from "../../../../model/training/tape/variable.ts";
import { device, upload } from "../../../harness.ts";

const specs = [
  { name: "a", shape: [2, 3], decay: true },
  { name: "b", shape: [6], decay: false },
];

/** Parameters a = 1 … 6 and b = 0. */
function make(): Parameters {
  const parameters = new Parameters(device, specs);
  device.upload(parameters.get("a").value, Float32Array.of(1, 2, 3, 4, 5, 6));
  device.upload(parameters.get("b").value, new Float32Array(6));
  return parameters;
}

/** Unwinds a tape with a gradient of one, two, … by `y`. */
function unwind(tape: Tape, y: Variable): void {
  y.take(device.from("f32", y.value.shape, Float32Array.from({ length: 6 }, (_, i) => i + 1)));
  tape.unwind();
}

async function gradients(parameters: Parameters): Promise<number[][]> {
  const read = await device.readAll(specs.map(({ name }) => parameters.get(name).grad!));
  return read.map((values) => [...values]);
}

Deno.test("A tape sums the gradients of all uses of a variable, through views", async () => {
  const parameters = make();
  const live = device.memory.liveBytes;
  const tape = new Tape(device);
  const a = parameters.get("a");
  const twice = add(tape, a, a); // [2, 3]
  const y = add(tape, twice.reshape(6), add(tape, parameters.get("b"), a.reshape(6)));
  assertEquals([...await device.read(y.value)], [3, 6, 9, 12, 15, 18]);
  unwind(tape, y);
  const ones = [1, 2, 3, 4, 5, 6];
  assertEquals(await gradients(parameters), [ones.map((v) => 3 * v), ones]);
  assertEquals(device.memory.liveBytes, live, "the tape frees what it made");
  parameters.dispose();
});

Deno.test("What no parameter reaches gets no gradient", () => {
  const tape = new Tape(device);
  const x = upload("f32", [6], [1, 2, 3, 4, 5, 6]);
  const y = add(tape, tape.constant(x), tape.constant(x));
  assertEquals(y.wanted, false);
  assertEquals(y.gradient, null);
  tape.unwind();
  x.dispose();
});

Deno.test("recompute() gives the same gradients with less memory", async () => {
  const parameters = make();
  const live = device.memory.liveBytes;
  const sums = (tape: Tape) => {
    let x = parameters.get("a");
    for (let i = 0; i < 10; i++) x = add(tape, x, x);
    return x;
  };
  const peaks: number[] = [];
  const found: number[][][] = [];
  for (const forward of [sums, (tape: Tape) => tape.recompute(sums)]) {
    const tape = new Tape(device);
    const y = forward(tape);
    peaks.push(device.memory.liveBytes - live);
    unwind(tape, y);
    found.push(await gradients(parameters));
    parameters.clearGradients();
    assertEquals(device.memory.liveBytes, live);
  }
  assertEquals(found[0], found[1]);
  assertEquals(found[0]![0]![0], 1024);
  assertEquals(peaks[1], peaks[0]! / 10);
  parameters.dispose();
});

Deno.test("A tape that fails leaves nothing behind: while it records, while it is unwound, and within", () => {
  const parameters = make();
  const live = device.memory.liveBytes;
  const fails = () => {
    throw new RangeError("no more memory");
  };
  /** Adds, and fails in the pass of that number. */
  const failing = (last: number) => {
    let passes = 0;
    return (tape: Tape) => {
      const a = parameters.get("a");
      const y = add(tape, a, a);
      tape.output([6], "not recorded");
      return ++passes === last ? fails() : add(tape, y, a);
    };
  };
  const cases: ((tape: Tape) => void)[] = [
    (tape) => failing(1)(tape),
    (tape) => tape.recompute(failing(1)),
    (tape) => unwind(tape, tape.recompute(failing(2))),
    (tape) => {
      const y = add(tape, parameters.get("a"), parameters.get("a"));
      unwind(tape, tape.record(device.tensor("f32", [2, 3]), [y], fails));
    },
  ];
  for (const run of cases) {
    assertThrows(() => {
      using tape = new Tape(device);
      run(tape);
    }, RangeError);
    assertEquals(device.memory.liveBytes, live);
  }
  parameters.dispose();
});
