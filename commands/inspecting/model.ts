import { countText, type Inspection } from "./inspection.ts";
import { describe, type FileReport, reportOf } from "./tensors.ts";
import { printable } from "../../engine/mod.ts";
import { openFolder } from "../../model/checkpoint/folder.ts";
import { parseConfig } from "../../model/config/config.ts";
import type { ModelConfig } from "../../model/config/types.ts";

/** Inspects a model folder: its configuration, and its files. */
export async function inspectModel(folder: string): Promise<Inspection> {
  const files = openFolder(folder);
  const config = parseConfig(await files.json("config.json"), files.path("config.json"));
  const { transformer, vae, text_encoder, tokenizer } = config.files;
  const reports: FileReport[] = [];
  const missing: string[] = [];
  for (const name of [transformer, vae, text_encoder]) {
    if (await files.exists(name)) {
      const file = await files.tensors(name);
      reports.push(reportOf(file));
      file.close();
    } else missing.push(name);
  }
  if (!await files.exists(tokenizer)) missing.push(tokenizer);
  const parameters = reports.reduce((sum, report) => sum + report.parameters, 0);
  const lines = [
    ...summary(config),
    `Parameters  ${countText(parameters)}`,
    ...missing.length ? [`Missing     ${missing.join(", ")}`] : [],
    ...reports.flatMap((report) => ["", ...describe(report)]),
  ];
  return { lines, report: { config, parameters, missing, files: reports } };
}

function summary(config: ModelConfig): string[] {
  const { name, image, transformer: t, vae, text_encoder: t5, scale_schedule, defaults } = config;
  const list = (value: number | readonly number[]) => [value].flat().join(",");
  const rows: [string, string][] = [
    ["Model", printable(name)],
    ["Images", `${image.width}x${image.height}`],
    [
      "Transformer",
      `depth ${t.depth}, width ${t.embed_dim}, ${t.num_heads} heads of ` +
      `${t.embed_dim / t.num_heads}, FFN ${t.ffn_hidden}, ${t.d_vae} bits a token` +
      (t.apply_spatial_patchify ? ", 2x2 patches" : ""),
    ],
    ["VAE", `${vae.codebook_dim} bits, patch ${vae.patch_size}`],
    [
      "Text",
      t5
        ? `T5, ${t5.num_layers} layers, width ${t5.d_model}, at most ${config.tokenizer.max_length} tokens`
        : `features of ${t.text_channels} channels`,
    ],
    ["Schedule", scale_schedule.map(([, h, w]) => `${h}x${w}`).join(" ")],
    ["Defaults", `cfg ${list(defaults.cfg)}, tau ${list(defaults.tau)}, seed ${defaults.seed}`],
  ];
  return rows.map(([key, value]) => `${key.padEnd(11)} ${value}`);
}
