// Loaded before the command line (--preload): 125m stands for the small release of tests/model/release/tiny_release.ts.
import { PRESETS } from "../../model/config/presets.ts";
import { TINY } from "../model/release/tiny_release.ts";

(PRESETS as Map<string, typeof TINY>).set("infinity-125m", TINY);
