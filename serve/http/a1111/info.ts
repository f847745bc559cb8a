/** What the A1111 API says of a server besides its images: clients ask for it when they start. */

import type { ModelCard } from "../../jobs/job.ts";

/** The one sampler. */
const SAMPLER = "Bitwise";

/** The answers to `GET /sdapi/v1/NAME`, by name. */
export const LISTS: Readonly<Record<string, (card: ModelCard) => unknown>> = {
  "sd-models": (card) => [sdModel(card)],
  "options": options,
  "samplers": () => [{ name: SAMPLER, aliases: [], options: {} }],
  "schedulers": () => [{
    name: "automatic",
    label: "Automatic",
    aliases: null,
    default_rho: -1,
    need_inner_model: false,
  }],
  "upscalers": () => [{
    name: "None",
    model_name: null,
    model_path: null,
    model_url: null,
    scale: 1,
  }],
  "latent-upscale-modes": () => [],
  "loras": () => [],
  "sd-vae": () => [],
  "sd-modules": () => [],
  "hypernetworks": () => [],
  "face-restorers": () => [],
  "realesrgan-models": () => [],
  "prompt-styles": () => [],
  "embeddings": () => ({ loaded: {}, skipped: {} }),
  "scripts": () => ({ txt2img: [], img2img: [] }),
  "script-info": () => [],
  "cmd-flags": () => ({ api: true }),
  "memory": () => ({ ram: {}, cuda: {} }),
};

function sdModel(card: ModelCard) {
  return {
    title: card.name,
    model_name: card.name,
    hash: null,
    sha256: null,
    filename: card.name,
    config: null,
  };
}

function options(card: ModelCard) {
  return {
    sd_model_checkpoint: card.name,
    sd_checkpoint_hash: "",
    sd_vae: "Automatic",
    samples_format: "png",
    CLIP_stop_at_last_layers: 1,
  };
}
