import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FileError } from "../../../engine/mod.ts";
import { S3Store } from "../../../serve/stores/s3_store.ts";
import { denied, KEYS, MockS3 } from "./mock_s3.ts";

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i);

function storeOf(endpoint: string, change = {}): S3Store {
  const place = { address: `${endpoint}/pictures`, prefix: "a/b/", region: "eu-test-1", ...KEYS };
  return new S3Store({ ...place, ...change }, { timeout: 2000, pause: 1 });
}

Deno.test("S3Store keeps files, and every request carries a right signature", async () => {
  await using s3 = new MockS3();
  const store = storeOf(s3.endpoint);
  assertEquals(await store.has("cat-1.png"), false);
  assertEquals(await store.get("cat-1.png"), null);
  await store.put("cat-1.png", BYTES, "image/png");
  assertEquals(s3.files.get("/pictures/a/b/cat-1.png"), { bytes: BYTES, type: "image/png" });
  assertEquals(await store.has("cat-1.png"), true);
  assertEquals(await store.get("cat-1.png"), BYTES);
});

Deno.test("S3Store signs URLs that read one file until they expire", async () => {
  await using s3 = new MockS3();
  const store = storeOf(s3.endpoint);
  await store.put("cat.png", BYTES, "image/png");
  await store.put("dog.png", BYTES, "image/png");
  const read = async (url: string) => {
    const response = await fetch(url);
    return [response.status, (await response.bytes()).length];
  };
  const url = await store.url("cat.png", 60);
  assertEquals(await read(url), [200, 1000]);
  assertEquals((await read(url.replace("cat", "dog")))[0], 403);
  s3.now = () => Date.now() + 61_000;
  assertEquals((await read(url))[0], 403);
});

Deno.test("S3Store tries again where that may help, and says what is wrong where it cannot", async () => {
  await using s3 = new MockS3();
  const store = storeOf(s3.endpoint);
  s3.faults.push(denied(503, "SlowDown"), denied(500, "InternalError"));
  await store.put("cat.png", BYTES, "image/png");
  assertEquals(s3.asked.length, 3);
  s3.faults.push(...Array.from({ length: 9 }, () => denied(503, "SlowDown")));
  const slow = await assertRejects(() => store.get("cat.png"), FileError);
  assertStringIncludes(slow.message, "it replied 503 SlowDown");
  assertEquals(s3.asked.length, 7);
  s3.faults.length = 0;
  const wrong = storeOf(s3.endpoint, { secretAccessKey: "another secret" });
  const denial = await assertRejects(() => wrong.put("a.png", BYTES, "image/png"), FileError);
  assertEquals(
    denial.message,
    `Cannot write "a/b/a.png" in ${s3.endpoint}/pictures: it replied 403 SignatureDoesNotMatch; ` +
      "check AWS_SECRET_ACCESS_KEY and the region",
  );
  assertEquals(s3.asked.length, 8);
  assert(!denial.message.includes("another secret"));
});

Deno.test("S3Store gives up on a server that is not there, or does not reply", async () => {
  const free = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = free.addr as Deno.NetAddr;
  const silent = new S3Store(
    { address: `http://127.0.0.1:${port}/pictures`, prefix: "", region: "r", ...KEYS },
    { timeout: 20, pause: 1 },
  );
  const error = await assertRejects(() => silent.has("cat.png"), FileError);
  assertStringIncludes(error.message, "it does not reply");
  free.close();
  const gone = await assertRejects(() => storeOf(`http://127.0.0.1:${port}`).has("a"), FileError);
  assertStringIncludes(gone.message, "refused");
  assertEquals([error.code, gone.code], ["store-unreachable", "store-unreachable"]);
});
