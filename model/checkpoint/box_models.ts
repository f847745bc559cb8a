/**
 * The models in the box: the files of assets/models that a model needs, so that a package without them can download
 * and verify them.
 *
 * @module
 */

/** A file of a model. */
export interface BoxFile {
  /** Its path in the model's folder, with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 in hexadecimal. */
  readonly sha256: string;
}

/**
 * Where the models are published, each in a folder of its name. Nothing is published yet: until then a package without
 * models needs BITWISE_MODELS_URL, or a model folder by its path.
 */
export const MODELS_URL =
  "https://raw.githubusercontent.com/bitwise/infinity/v0.1.0/assets/models/";

/** The files of each model. */
export const BOX_MODELS: Readonly<Record<string, readonly BoxFile[]>> = {
  "emoji-nano": [
    {
      path: "config.json",
      size: 6532,
      sha256: "5c5a75b8b17433f4de1ceebb1b651f808daabc3159b7b4940fecbd86ac6fb63d",
    },
    {
      path: "tokenizer.json",
      size: 75212,
      sha256: "9d724b2a681067af3f494f01f57002e95691f1ddd870a4099b19799fdda14f04",
    },
    {
      path: "vae.safetensors",
      size: 5722988,
      sha256: "fa1f2e78176e29ceab8156e46825c1aabb244aece52b69c30c1b282477cadfb9",
    },
    {
      path: "text_encoder/model.safetensors",
      size: 4239280,
      sha256: "314aee3ec86754951f11780149025fe1b320e27954a93c7eda9091be2a6ad1da",
    },
    {
      path: "transformer.safetensors",
      size: 10296528,
      sha256: "e4d3f7fe710220025744194dc613681dea250a72d270f5a3b8e35021d669330f",
    },
  ],
  "emoji-scenes": [
    {
      path: "config.json",
      size: 1489,
      sha256: "3f785cd6910f1bd32f2cf352c75ba5e8219ed0638968f6a72d89eea11e72c497",
    },
    {
      path: "tokenizer.json",
      size: 77411,
      sha256: "d9f1e37d07a744b36fd0aebe5b1720f7cc9980d8cc65adfd318ac9e1f74d02da",
    },
    {
      path: "vae.safetensors",
      size: 9592188,
      sha256: "4ea715edf851dca2131cc5a51d18af0ed4588d4a0692d813d2319d186254b50b",
    },
    {
      path: "text_encoder/model.safetensors",
      size: 3065144,
      sha256: "6d309d74205753821608ca143091c9ac0e59ba5fb8dfd1182c6011ffdbb7dc5e",
    },
    {
      path: "transformer.safetensors",
      size: 10173640,
      sha256: "9c576d0224482db75f8edbf9e8832dfe1f7910ae70ded676516c4c9c7a7db7a0",
    },
  ],
};
