import { bytesSource } from "../../engine/byte_source.ts";
import { Safetensors } from "../../engine/safetensors.ts";
import { encodeSafetensors } from "../../engine/safetensors_writer.ts";
import { Weights } from "../../model/checkpoint.ts";
import { type VaeConfig, VaeDecoder } from "../../model/vae.ts";
import { device, random } from "../kernels/harness.ts";

/** A decoder of any size, with random weights that keep activations near 1. */
export async function randomVae(config: VaeConfig): Promise<VaeDecoder> {
  const next = random(1);
  const { base_ch, decoder_ch_mult: mult, num_res_blocks, patch_size, codebook_dim } = config;
  const tensors = new Map<string, number[]>();
  const conv = (name: string, C: number, N: number, size = 3) => {
    tensors.set(`${name}.weight`, [N, C, size, size]).set(`${name}.bias`, [N]);
  };
  const norm = (name: string, C: number) => {
    tensors.set(`${name}.weight`, [C]).set(`${name}.bias`, [C]);
  };
  const block = (name: string, C: number, N: number) => {
    norm(`${name}.norm1`, C);
    conv(`${name}.conv1`, C, N);
    norm(`${name}.norm2`, N);
    conv(`${name}.conv2`, N, N);
    if (C !== N) conv(`${name}.nin_shortcut`, C, N, 1);
  };
  let C = base_ch * mult.at(-1)!;
  conv("decoder.conv_in", codebook_dim, C);
  block("decoder.mid.block_1", C, C);
  block("decoder.mid.block_2", C, C);
  for (let i = mult.length - 1; i >= 0; i--) {
    for (let k = 0; k <= num_res_blocks; k++) {
      block(`decoder.up.${i}.block.${k}`, C, base_ch * mult[i]!);
      C = base_ch * mult[i]!;
    }
    if (i >= 1 && i <= Math.log2(patch_size)) conv(`decoder.up.${i}.upsample.conv`, C, C);
  }
  norm("decoder.norm_out", C);
  conv("decoder.conv_out", C, 3);
  const file = encodeSafetensors([...tensors].map(([name, shape]) => {
    const count = shape.reduce((a, b) => a * b);
    const scale = Math.sqrt(3 / (count / shape[0]!));
    const offset = name.includes("norm") && name.endsWith("weight") ? 1 : 0;
    const data = Float32Array.from({ length: count }, () => offset + (next() * 2 - 1) * scale);
    return { name, dtype: "F32", shape, data };
  }));
  const source = await Safetensors.open(bytesSource("random VAE", file));
  return VaeDecoder.load(new Weights(device, source, "f32"), config);
}
