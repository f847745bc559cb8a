import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { firstFree, namer } from "../../../commands/io/naming.ts";
import { inFolder } from "../process.ts";

Deno.test("namer() numbers several images so that they sort, and steps over files", () => {
  const names = (count: number, name: string, begin?: number) =>
    Array.from({ length: 3 }, (_, i) => namer(name, count, begin)(i));
  assertEquals(names(1, "a/cat.png"), ["a/cat.png", "a/cat-2.png", "a/cat-3.png"]);
  assertEquals(names(2, "a/cat.v2.PNG"), ["a/cat.v2-1.PNG", "a/cat.v2-2.PNG", "a/cat.v2-3.PNG"]);
  assertEquals(names(11, "b"), ["b-01", "b-02", "b-03"]);
  assertEquals(names(2, "b.png", 99), ["b-099.png", "b-100.png", "b-101.png"]);
  assertEquals(names(1, "b.png", 5), ["b-5.png", "b-6.png", "b-7.png"]);
  assertEquals(names(4, "x-%03d.png"), ["x-000.png", "x-001.png", "x-002.png"]);
  assertEquals(names(4, "%d-x.png", 7), ["7-x.png", "8-x.png", "9-x.png"]);
});

Deno.test("firstFree() steps over whatever has one of the names, also a folder", () =>
  inFolder(async (folder) => {
    const name = join(folder, "x.png");
    await Deno.mkdir(join(folder, "x-2.png"));
    assertEquals(await firstFree(namer(name, 2), 2), 2);
    await Deno.writeFile(name, new Uint8Array());
    assertEquals(await firstFree(namer(name, 1), 1), 2);
    // a folder in place of the only file is refused where it is written
    await Deno.remove(name);
    await Deno.mkdir(name);
    assertEquals(await firstFree(namer(name, 1), 1), 0);
  }));
