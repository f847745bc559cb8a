// Keys and values in storage textures, 1024 texels to a row (Device.stage). Not a kernel: it goes before
// attention_bindings.wgsl.
//
// Prelude (attention_subgroup.ts): KV, the textures' type.

@group(0) @binding(1) var k: KV;
@group(0) @binding(2) var v: KV;

fn k_at(i: u32) -> vec4<f32> { return textureLoad(k, vec2(i & 1023, i >> 10)); }
fn v_at(i: u32) -> vec4<f32> { return textureLoad(v, vec2(i & 1023, i >> 10)); }
