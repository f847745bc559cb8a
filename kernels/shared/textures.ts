import { type Device, TEXTURE_WIDTH } from "../../engine/mod.ts";

/**
 * Whether operands of products lie in textures and a workgroup is one subgroup: on software adapters, see
 * kernels/linear/matmul_texture.wgsl.
 */
export function usesTexture({ capabilities }: Device): boolean {
  return capabilities.class === "cpu" && capabilities.subgroups && capabilities.subgroupSize > 0;
}

/** Vec4s that one texture holds at most. */
export function textureTexels({ gpu }: Device): number {
  return gpu.limits.maxTextureDimension2D * TEXTURE_WIDTH;
}

/** Subgroup size (AVX2) whose shuffles take one instruction whatever the lane; others need constant lanes. */
export const ANY_LANE = 8;
