import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { schedules } from "../../../model/config/schedule.ts";
import { type RopeMode, ropeTables } from "../../../model/transformer/rope.ts";

function assertClose(actual: Float32Array, expected: Float32Array, what: string): void {
  assertEquals(actual.length, expected.length, what);
  let worst = 0;
  actual.forEach((x, i) => worst = Math.max(worst, Math.abs(x - expected[i]!)));
  assert(worst <= 2e-7, `${what}: off by ${worst}`);
}

function everyRow(table: Float32Array, width: number, step: number): Float32Array {
  const rows = Math.ceil(table.length / width / step);
  const out = new Float32Array(rows * width);
  for (let i = 0; i < rows; i++) {
    out.set(table.subarray(i * step * width, (i * step + 1) * width), i * width);
  }
  return out;
}

Deno.test("golden: ropeTables() computes the official tables in each mode", async () => {
  const { tensor, has } = await golden("transformer_rope_variants.golden");
  let compared = 0;
  for (const ratio of [1, 0.75]) {
    const key = ratio === 1 ? "1.0" : `${ratio}`;
    const full = schedules(ratio, "1M");
    for (const mode of [0, 1, 2] as RopeMode[]) {
      if (!has(`table.r${key}.mode${mode}.cos`)) continue;
      const small = ropeTables(schedules(ratio, "0.06M"), full.at(-1)!, 64, mode);
      const large = ropeTables(full, full.at(-1)!, 64, mode);
      for (const f of ["cos", "sin"] as const) {
        const name = `table.r${key}.mode${mode}.${f}`;
        assertClose(small[f], tensor(name).data, name);
        const sampled = name.replace("table", "table1M") + ".every37";
        assertClose(everyRow(large[f], large.width, 37), tensor(sampled).data, sampled);
        compared++;
      }
    }
  }
  assertEquals(compared, 10);
});

Deno.test("golden: ropeTables() computes the tiny transformer's tables", async () => {
  const { tensor } = await golden("transformer_tiny.golden");
  const tables = ropeTables(schedules(1, "0.06M"), [64, 64], 64, 2);
  assertEquals([tables.rows, tables.width], tensor("rope_cos").shape);
  assertClose(tables.cos, tensor("rope_cos").data, "cos");
  assertClose(tables.sin, tensor("rope_sin").data, "sin");
});

Deno.test("ropeTables() rounds half to even, and rotates the first half by the row", () => {
  // positions 0, 2.5, 5, 7.5 become 0, 2, 5, 8
  const { cos, rows, width } = ropeTables([[4, 1]], [10, 1], 4, 2, 100);
  assertEquals([rows, width], [4, 2]);
  const expected = [0, 2, 5, 8].flatMap((position) => [Math.cos(position), 1]);
  assertEquals(cos, Float32Array.from(expected));
});

Deno.test("ropeTables() refuses a head_dim that is not divisible by 4", () => {
  assertThrows(() => ropeTables([[1, 1]], [1, 1], 6, 0), InputError, "head_dim 6");
});

Deno.test("ropeTables() computes the tables of the last schedule once", () => {
  const of = (edge: number, mode: RopeMode) =>
    ropeTables([[1, 1], [edge, edge]], [edge, edge], 8, mode);
  const tables = of(2, 1);
  assertStrictEquals(of(2, 1), tables);
  assertNotEquals(of(2, 0).cos, tables.cos);
  assertEquals(of(3, 1).rows, 10);
  assertEquals(of(2, 1), tables);
});
