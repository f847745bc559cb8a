import { assert, assertEquals } from "@std/assert";
import { image, lines } from "../../../model/charts/svg.ts";

const marks = (svg: string) =>
  [...svg.matchAll(/<text[^>]*text-anchor="(?:middle|end)"[^>]*>([^<]*)</g)].map(([, text]) =>
    text
  );

Deno.test("lines() divides a linear axis by round numbers, also around one value", () => {
  const points = [{ x: 0, y: 0.31 }, { x: 970, y: 0.69 }];
  const axes = { x: "step", y: "loss", scales: ["linear", "linear"] } as const;
  const { svg } = lines("title", axes, [{ name: "a", points }]);
  const all = ["step", "0", "200", "400", "600", "800", "1k", "0.3", "0.4", "0.5", "0.6", "0.7"];
  assertEquals(marks(svg), all);
  for (const y of [0, -3, 1e-12]) {
    const { svg } = lines("title", axes, [{ name: "a", points: [{ x: 5, y }] }]);
    assert(!/NaN|Infinity/.test(svg), svg);
  }
});

Deno.test("lines() divides a logarithmic axis by equal factors", () => {
  const points = [{ x: 1, y: 1 }, { x: 1000, y: 1e6 }];
  const { svg } = lines("title", { x: "n", y: "s" }, [{ name: "a", points }]);
  assertEquals(marks(svg), ["n", "1", "10", "100", "1k", "1", "100", "10k", "1M"]);
  assert(!svg.includes("<circle"));
});

Deno.test("image() stacks charts", () => {
  const svg = image("all", [{ height: 10, svg: "<g/>" }, { height: 20, svg: "<g/>" }]);
  assert(svg.includes('height="110"') && svg.includes("translate(20 70)"));
});
