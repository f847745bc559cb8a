import { assertEquals } from "@std/assert";
import { batchesOf } from "../../../commands/generating/batches.ts";

/** Batches as `first prompt + prompts × images of each`. */
function shown(prompts: number, batchCount: number, most: number): string[] {
  return batchesOf(prompts, batchCount, most).map((batch) =>
    `${batch.first}: ${batch.firstPrompt}+${batch.prompts}x${batch.batchCount}=${batch.images}`
  );
}

Deno.test("batchesOf() splits one prompt's images, or takes several prompts together", () => {
  assertEquals(shown(1, 5, 8), ["0: 0+1x5=5"]);
  assertEquals(shown(1, 5, 2), ["0: 0+1x2=2", "2: 0+1x2=2", "4: 0+1x1=1"]);
  assertEquals(shown(5, 1, 2), ["0: 0+2x1=2", "2: 2+2x1=2", "4: 4+1x1=1"]);
  assertEquals(shown(3, 2, 5), ["0: 0+2x2=4", "4: 2+1x2=2"]);
  assertEquals(shown(2, 3, 2), ["0: 0+1x2=2", "2: 0+1x1=1", "3: 1+1x2=2", "5: 1+1x1=1"]);
});

Deno.test("batchesOf() makes every image once, in order", () => {
  for (const [prompts, batchCount, most] of [[1, 1500, 64], [7, 3, 4], [4, 9, 5]] as const) {
    let next = 0;
    for (
      const { first, images, firstPrompt, batchCount: each } of batchesOf(prompts, batchCount, most)
    ) {
      assertEquals([first, firstPrompt], [next, Math.floor(next / batchCount)]);
      assertEquals(images % each, 0);
      next += images;
    }
    assertEquals(next, prompts * batchCount);
  }
});
