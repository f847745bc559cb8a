import type { Entry } from "./command.ts";

/** The commands in the order of the help. */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  generate: {
    summary: "Generate images from a prompt",
    load: async () => (await import("./generate.ts")).generate,
  },
  serve: {
    summary: "Serve images over HTTP, with a page",
    load: async () => (await import("./serve.ts")).serve,
  },
  batch: {
    summary: "Generate the images of a list of prompts, here or by workers",
    load: async () => (await import("./batch.ts")).batch,
  },
  worker: {
    summary: "Make the images of a queue on Redis",
    load: async () => (await import("./worker.ts")).worker,
  },
  demo: {
    summary: "Generate a few prompts side by side",
    load: async () => (await import("./demo.ts")).demo,
  },
  encode: {
    summary: "Encode an image as bits",
    load: async () => (await import("./encode.ts")).encode,
  },
  decode: {
    summary: "Decode bits to an image",
    load: async () => (await import("./decode.ts")).decode,
  },
  reconstruct: {
    summary: "Encode and decode an image, and measure what is lost",
    load: async () => (await import("./reconstruct.ts")).reconstruct,
  },
  variations: {
    summary: "Keep an image's first scales and generate the others again",
    load: async () => (await import("./variations.ts")).variations,
  },
  interpolate: {
    summary: "Decode images between two images",
    load: async () => (await import("./interpolate.ts")).interpolate,
  },
  analyze: {
    summary: "Measure which scales of images matter, bit by bit",
    load: async () => (await import("./analyze.ts")).analyze,
  },
  inspect: {
    summary: "Show what is in a model folder, a safetensors or bits file, or a PNG",
    load: async () => (await import("./inspect.ts")).inspect,
  },
  convert: {
    summary: "Convert a PyTorch checkpoint to safetensors, or a release to a model folder",
    load: async () => (await import("./convert.ts")).convert,
  },
  train: {
    summary: "Train a model from a config",
    load: async () => (await import("./train.ts")).train,
  },
  finetune: {
    summary: "Train a model further on your own images",
    load: async () => (await import("./finetune.ts")).finetune,
  },
  pull: {
    summary: "Download a published model and convert it",
    load: async () => (await import("./pull.ts")).pull,
  },
  plan: {
    summary: "Compute the memory and arithmetic of a generation",
    load: async () => (await import("./plan.ts")).plan,
  },
  doctor: {
    summary: "Check the GPU and the model, and name what is missing",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  completions: {
    summary: "Print a script that completes commands and flags in a shell",
    load: async () => (await import("./completions.ts")).completionsOf(COMMANDS),
  },
};
