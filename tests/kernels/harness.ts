/**
 * What tests of kernels share: a device whose tensors have guards. Tests of memory and models use `../harness.ts`,
 * whose device pools its buffers.
 *
 * @module
 */

import { CHECKED } from "../backend.ts";
import { device } from "../harness.ts";
import { guard } from "./guards.ts";

export * from "../harness.ts";
export { guard } from "./guards.ts";

// bounds that nobody checks need no wide bindings, and are tested as they are in production
guard(device, { exact: !CHECKED });
