import { CONV } from "./conv.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { ATTENTION } from "./attention.ts";
import { ATTENTION_BACKWARD } from "./attention_backward.ts";
import { BITS } from "./bits.ts";
import { IMAGES } from "./images.ts";
import { LINEAR } from "./linear.ts";
import { LOSSES } from "./losses.ts";
import { NORM } from "./norm.ts";
import { NORM_BACKWARD } from "./norm_backward.ts";
import { OPTIMISER } from "./optimiser.ts";
import { TOKENS } from "./tokens.ts";
import { TRAINING_BITS } from "./training_bits.ts";
import type { Op } from "./op.ts";

/** Every op. */
export const OPS: readonly Op[] = [
  ...ELEMENTWISE,
  ...TOKENS,
  ...BITS,
  ...TRAINING_BITS,
  ...LOSSES,
  ...NORM,
  ...NORM_BACKWARD,
  ...LINEAR,
  ...CONV,
  ...ATTENTION,
  ...ATTENTION_BACKWARD,
  ...OPTIMISER,
  ...IMAGES,
];
