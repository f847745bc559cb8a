import { assertEquals } from "@std/assert";
import { inSteps, ProgressLine } from "../../../commands/io/progress.ts";
import { fakeIo } from "../process.ts";

Deno.test("ProgressLine rewrites one line on a terminal, and writes plain lines elsewhere", () => {
  for (
    const [errIsTerminal, expected] of [
      [true, "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"],
      [false, "one\ntwo\n"],
    ] as const
  ) {
    const io = { ...fakeIo(), errIsTerminal };
    const progress = new ProgressLine(io);
    progress.show("one");
    progress.show("two");
    for (let i = 0; i < 2; i++) progress[Symbol.dispose]();
    assertEquals([io.errors(), io.text()], [expected, ""]);
  }
});

Deno.test("ProgressLine shows a bar and the time left, within the terminal's width", () => {
  let now = 0;
  const io = { ...fakeIo(), errIsTerminal: true, columns: () => 60 };
  const progress = new ProgressLine(io, () => now);
  const shown = (text: string, part: number) => {
    const before = io.errors().length;
    progress.show(text, part);
    return io.errors().slice(before).replace("\r\x1b[K", "");
  };
  assertEquals(shown("Scale 1/4", 0), "[>                       ]   0 % | Scale 1/4");
  now = 10_000;
  assertEquals(shown("Scale 2/4", 0.25), "[======>                 ]  25 %, 30 s left | Scale 2/4");
  assertEquals(shown("x".repeat(99), 0.25).length, 59);
  assertEquals(shown("Another file", 0), "[>                       ]   0 % | Another file");
  now = 12_000;
  assertEquals(shown("Another", 0.5), "[============>           ]  50 %, 2 s left | Another");
  assertEquals(shown("Done", 1), `[${"=".repeat(24)}] 100 % | Done`);
});

Deno.test("ProgressLine is silent with -q", () => {
  const io = { ...fakeIo(), errIsTerminal: true };
  io.style.quiet = true;
  using progress = new ProgressLine(io);
  progress.show("one", 0.5);
  assertEquals(io.errors(), "");
});

Deno.test("inSteps() passes each percent on to a terminal, elsewhere each tenth", () => {
  for (const [errIsTerminal, count] of [[true, 101], [false, 11]] as const) {
    const shown: number[] = [];
    const report = inSteps({ ...fakeIo(), errIsTerminal }, (part) => shown.push(part));
    for (let i = 0; i <= 1000; i++) report(i / 1000);
    assertEquals([shown.length, shown[0], shown.at(-1)], [count, 0, 1]);
  }
});
