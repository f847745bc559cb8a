/**
 * What tests of kernels share: a device whose tensors have guards. Tests of memory and models use `../harness.ts`,
 * whose device pools its buffers.
 *
 * @module
 */

import { CHECKED } from "../backend.ts";
import { assertNear, device } from "../harness.ts";
import { guard } from "./guards.ts";

export * from "../harness.ts";
export { guard } from "./guards.ts";

/**
 * Asserts that two kernels which add in the same order make the same. They need not have the same bits: a compiler may
 * fuse a product and a sum in one kernel and not in the other. Software adapters do neither, so there bits are compared.
 *
 * Tests that compare bits everywhere hold what ARCHITECTURE.md promises: copies, integers and exact conversions have
 * the same bits on every adapter; one kernel has the same bits in any batch, strip and tile on the same adapter.
 */
export function assertSameOrder(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string = "",
): void {
  const software = /llvmpipe|swiftshader/i.test(device.capabilities.adapter);
  assertNear(actual, expected, software ? 0 : tolerance, what);
}

// bounds that nobody checks need no wide bindings, and are tested as they are in production
guard(device, { exact: !CHECKED });
