import type { FlagType } from "./types.ts";
import type { LoraOption } from "../../model/checkpoint/lora.ts";

/** A file of adapters, and how strongly it acts. */
const lora: FlagType<LoraOption> = {
  value: "FILE[:STRENGTH]",
  need: "a file name, and from -100 to 100 how strongly it acts, such as style.safetensors:0.8",
  read(given) {
    // the last colon, unless what follows is part of the name: C:\style.safetensors
    const [, path = given, strength] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/s.exec(given) ?? [];
    if (strength === undefined) return path === "" ? undefined : { path };
    return Math.abs(Number(strength)) <= 100 ? { path, strength: Number(strength) } : undefined;
  },
};

/** The flag of commands that use or store weights. */
export const LORA_FLAG = {
  "lora": { type: lora, many: true, help: "Add LoRA adapters to the weights; repeat for more" },
} as const;
