import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { FileError, InputError } from "../../../engine/mod.ts";
import { FolderStore } from "../../../serve/stores/folder_store.ts";
import { MemoryStore } from "../../../serve/stores/memory_store.ts";
import { isName } from "../../../serve/stores/names.ts";
import { openStore } from "../../../serve/stores/open_store.ts";
import { readS3Place } from "../../../serve/stores/s3_place.ts";
import { keyOf, SignedUrls } from "../../../serve/stores/signed_urls.ts";
import { filesIn, inFolder } from "../../commands/process.ts";

const BYTES = Uint8Array.of(1, 2, 3);

/** Names that lead elsewhere, or that some system reads otherwise. */
const TRICKS = ["", ".", "..", "../a.png", "a/b.png", "a\\b.png", "/etc/passwd", ".hidden", "a\0b"]
  .concat(["%2e%2e", "C:a", "a b", "é.png", "a\n", "x".repeat(201), "?a", "a#b"]);

Deno.test("Names of files have letters, digits, dashes and dots only", () => {
  assertEquals(TRICKS.filter(isName), []);
  assert(["a.png", "A-1_b.safetensors", "x".repeat(200), "-"].every(isName));
});

Deno.test("FolderStore keeps files whole, in its folder only", () =>
  inFolder(async (folder) => {
    const path = join(folder, "made", "results");
    const store = new FolderStore(path);
    assertEquals(await store.get("cat.png"), null);
    await store.put("cat.png", Uint8Array.of(9, 9));
    await store.put("cat.png", BYTES);
    assertEquals(await store.get("cat.png"), BYTES);
    assertEquals([await store.has("cat.png"), await store.has("dog.png")], [true, false]);
    for (const name of TRICKS) {
      await assertRejects(() => store.put(name, BYTES), InputError);
      await assertRejects(() => store.get(name), InputError);
      await assertRejects(() => store.has(name), InputError);
    }
    assertEquals(filesIn(path), ["cat.png"]);
    assertEquals(filesIn(folder), ["made"]);
  }));

Deno.test("MemoryStore keeps the newest files, in bounded memory", async () => {
  const store = new MemoryStore(10);
  const put = (name: string, bytes: number) => store.put(name, new Uint8Array(bytes));
  await put("a", 4);
  await put("b", 4);
  await put("a", 3); // is now the newest
  await put("c", 6);
  assertEquals(await Promise.all(["a", "b", "c"].map((name) => store.has(name))), [
    true,
    false,
    true,
  ]);
  await put("d", 1); // there is room for just this
  assertEquals([await store.has("a"), await store.has("c")], [true, true]);
  await assertRejects(() => put("d", 11), FileError, "11 B of 10 B");
  assertEquals((await store.get("c"))?.length, 6);
  await assertRejects(() => put("../d", 1), InputError);
});

Deno.test("SignedUrls signs one name until one time", () => {
  let now = 1_000_000;
  const urls = new SignedUrls(new Uint8Array(32), () => now);
  const [name, query] = urls.sign("cat.png", 60).split("?") as [string, string];
  const check = (name: string, text: string) => urls.check(name, new URLSearchParams(text));
  assertEquals([name, check(name, query)], ["cat.png", true]);
  assertEquals(check("dog.png", query), false);
  assertEquals(check(name, query.replace("expires=1", "expires=2")), false);
  for (let i = query.indexOf("signature=") + 10; i < query.length - 1; i++) {
    const other = query[i] === "A" ? "B" : "A";
    assertEquals(check(name, query.slice(0, i) + other + query.slice(i + 1)), false);
  }
  for (
    const bad of ["", "expires=2000", "signature=AAAA", "expires=1e9&signature=" + "A".repeat(43)]
  ) {
    assertEquals(check(name, bad), false);
  }
  now += 59_999;
  assertEquals(check(name, query), true);
  now += 1;
  assertEquals(check(name, query), false);
  assertEquals(new SignedUrls().check(name, new URLSearchParams(query)), false);
});

Deno.test("URLs of a secret outlive the process that signed them", () => {
  const [name, query] = new SignedUrls(keyOf("secret")).sign("cat.png", 60).split("?");
  const check = (secret: string) =>
    new SignedUrls(keyOf(secret)).check(name!, new URLSearchParams(query));
  assertEquals([check("secret"), check("other")], [true, false]);
});

Deno.test("openStore() opens folders and buckets, and refuses the rest", () => {
  assert(openStore("results") instanceof FolderStore);
  assert(openStore("C:\\results") instanceof FolderStore);
  for (const text of ["", "http://example.com/a", "ftp://x"]) {
    assertThrows(() => openStore(text), InputError, "name a folder, or s3://BUCKET/PREFIX");
  }
  assertThrows(() => openStore("ftp://id:secret@x"), InputError, 'Cannot use "ftp://…@x" as');
});

Deno.test("readS3Place() reads buckets, prefixes, endpoints and keys", () => {
  const keys: Record<string, string> = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };
  const read = (text: string, env = keys) => readS3Place(text, (name) => env[name]);
  assertEquals(read("s3://pictures/a/b/"), {
    address: "https://s3.us-east-1.amazonaws.com/pictures",
    prefix: "a/b/",
    region: "us-east-1",
    accessKeyId: "id",
    secretAccessKey: "secret",
    sessionToken: undefined,
  });
  const other = read("s3://pictures?endpoint=http://127.0.0.1:9000/&region=mars-1");
  assertEquals([other.address, other.prefix, other.region], [
    "http://127.0.0.1:9000/pictures",
    "",
    "mars-1",
  ]);
  assertEquals(read("s3://pictures", { ...keys, AWS_REGION: "eu-1" }).region, "eu-1");
  assertThrows(() => read("s3://pictures", {}), InputError, "set AWS_ACCESS_KEY_ID");
  for (
    const [text, why] of [
      ["s3://", "bucket"],
      ["s3://A_b/c", "bucket"],
      ["s3://id:secret@pictures/", "keys belong in the environment"],
      ["s3://pictures/a b", "prefix"],
      ["s3://pictures?endpoint=ftp://x", "endpoint"],
      ["s3://pictures?endpoint=http://id:secret@x", '"s3://…@x" as a store: its endpoint'],
      ["s3://pictures?endpoint=http://id:a&secret@x", "a parameter of another name"],
      ["s3://pictures?bucket=x", "a parameter of another name"],
      ["s3://pictures?region=../x", "region"],
    ] as const
  ) {
    const { message } = assertThrows(() => read(text), InputError, why);
    assert(!message.includes("secret"), message);
  }
});
