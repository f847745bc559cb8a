import { assertEquals } from "@std/assert";
import { BatchReport } from "../../../commands/fleet/batch_report.ts";
import { fakeIo } from "../process.ts";

Deno.test("a batch that stops before its first image is recorded does not say that none was made", () => {
  const io = fakeIo();
  using report = new BatchReport(2, 2, "out", false, io);
  report.stopped();
  const rest = "run the same command again to make the rest";
  assertEquals(io.errors(), `No image was recorded; ${rest}\n`);
});
