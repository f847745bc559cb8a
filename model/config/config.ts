import { ConfigError, staysInFolder } from "../../engine/mod.ts";
import { parseT5, parseTransformer, parseVae, REAL, TEXT_TOKENS } from "./config_parts.ts";
import { ConfigReader } from "./config_reader.ts";
import { PIXEL_BUDGETS, scheduleFault, schedules } from "./schedule.ts";
import type { ModelConfig, PixelBudget } from "./types.ts";

const TOKEN_ID = { min: 0, max: 2 ** 22 } as const;

const PATHS = {
  vae: "vae.safetensors",
  transformer: "transformer.safetensors",
  text_encoder: "text_encoder/model.safetensors",
  tokenizer: "tokenizer.json",
} as const;

/** File names must stay inside the model's folder: a config may come from anywhere. */
function parseFiles(files: ConfigReader): ModelConfig["files"] {
  const read = (key: keyof typeof PATHS): string => {
    const path = files.text(key, PATHS[key]);
    if (!staysInFolder(path)) files.refuse(key, path, "a path inside the model's folder");
    return path;
  };
  return {
    vae: read("vae"),
    transformer: read("transformer"),
    text_encoder: read("text_encoder"),
    tokenizer: read("tokenizer"),
  };
}

function parseScales(root: ConfigReader): ModelConfig["scale_schedule"] {
  const value = root.raw("scale_schedule");
  if (value === undefined) return schedules(1, "1M").map(([h, w]) => [1, h, w]);
  const isScale = (item: unknown): item is [1, number, number] =>
    Array.isArray(item) && item.length === 3 && item[0] === 1 &&
    item.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!Array.isArray(value) || value.length === 0) {
    root.refuse("scale_schedule", value, "a list of [1, height, width]");
  }
  const bad = value.findIndex((item) => !isScale(item));
  if (bad >= 0) root.refuse(`scale_schedule[${bad}]`, value[bad], "[1, height, width] in tokens");
  const fault = scheduleFault(value.map(([, h, w]) => [h, w]));
  if (fault !== null) root.refuse("scale_schedule", value, fault);
  const [, h, w] = value[0];
  if (h !== 1 || w !== 1) root.refuse("scale_schedule[0]", value[0], "[1, 1, 1]: one start token");
  return value;
}

function parseBudgets(root: ConfigReader): readonly PixelBudget[] | undefined {
  const value = root.raw("pixel_budgets");
  // without a schedule the config means Infinity-2B, which was trained on the 1M sizes
  if (value === undefined) return root.has("scale_schedule") ? undefined : ["1M"];
  const isBudget = (item: unknown) => (PIXEL_BUDGETS as readonly unknown[]).includes(item);
  const isList = Array.isArray(value) && value.length > 0 && value.length <= PIXEL_BUDGETS.length;
  if (isList && value.every(isBudget)) return value;
  return root.refuse("pixel_budgets", value, `a list of ${PIXEL_BUDGETS.join(", ")}`);
}

/**
 * Reads and checks a model's config.json. Keys that are absent take the values of the released
 * Infinity-2B, and those that bitwise does not know are ignored.
 *
 * @param json What `JSON.parse` returned.
 * @param where What error messages call the file.
 * @throws {ConfigError} `wrong-type`, `bad-value` or `not-implemented`: one line that names the key,
 * its value, and what is allowed.
 */
export function parseConfig(json: unknown, where: string): ModelConfig {
  if (json === undefined || json === null) {
    throw new ConfigError("wrong-type", `Cannot use ${where}: it is empty, it must be an object`);
  }
  const root = new ConfigReader(json, where);
  const t = root.object("transformer");
  const patchify = t.flag("apply_spatial_patchify", false);
  const vae = parseVae(root.raw("vae"), where, patchify);
  const d = vae.codebook_dim * (patchify ? 4 : 1);
  const transformer = parseTransformer(root.raw("transformer"), where, d);
  if (transformer.d_vae !== d) {
    const sum = `vae.codebook_dim ${vae.codebook_dim}${patchify ? " × 4, with patchify" : ""}`;
    t.refuse("d_vae", transformer.d_vae, sum);
  }

  const scale_schedule = parseScales(root);
  if (scale_schedule.length > transformer.lvl_embed_rows) {
    const most = `of at most lvl_embed_rows ${transformer.lvl_embed_rows} scales`;
    root.refuse("scale_schedule", scale_schedule, most);
  }
  const [, h, w] = scale_schedule[scale_schedule.length - 1];
  const v = root.object("vae");
  const image = root.object("image");
  const token = patchify ? 2 : 1;
  const expect = (reader: ConfigReader, key: string, value: number): number => {
    if (reader.number(key, value) !== value) {
      reader.refuse(key, reader.raw(key), `${value}, what the last scale ${h}x${w} makes`);
    }
    return value;
  };
  expect(v, "latent_height", h * token);
  expect(v, "latent_width", w * token);
  const height = expect(image, "height", h * token * vae.patch_size);
  const width = expect(image, "width", w * token * vae.patch_size);

  const text_encoder = root.has("text_encoder")
    ? parseT5(root.raw("text_encoder"), where)
    : undefined;
  if (text_encoder && text_encoder.d_model !== transformer.text_channels) {
    const need = `text_encoder.d_model ${text_encoder.d_model}`;
    t.refuse("text_channels", transformer.text_channels, need);
  }
  const pixel_budgets = parseBudgets(root);
  const words = root.object("tokenizer");
  const defaults = root.object("defaults");
  return {
    name: root.text("name", "infinity"),
    files: parseFiles(root.object("files")),
    image: { width, height },
    ...pixel_budgets && { pixel_budgets },
    vae,
    scale_schedule,
    transformer,
    ...text_encoder && { text_encoder },
    tokenizer: {
      max_length: words.number("max_length", transformer.text_maxlen, TEXT_TOKENS),
      pad_id: words.number("pad_id", 0, TOKEN_ID),
      eos_id: words.number("eos_id", 1, TOKEN_ID),
    },
    defaults: {
      cfg: defaults.numbers("cfg", 4, REAL),
      tau: defaults.numbers("tau", 0.5, { above: 0, max: 1e6, real: true }),
      top_k: defaults.number("top_k", 900, { min: 0, max: 2 ** 31 }),
      top_p: defaults.number("top_p", 0.97, { min: 0, max: 1, real: true }),
      cfg_insertion_layer: defaults.numbers("cfg_insertion_layer", 0, {
        min: 1 - transformer.depth,
        max: 0,
      }),
      seed: defaults.number("seed", 0),
    },
  };
}
