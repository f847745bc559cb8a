// Keys and values in buffers. Not a kernel: it goes before attention_bindings.wgsl.
//
// Prelude (attention_launch.ts): KV (a vec4 as it is stored), Loaded (vec4 of f32, or of f16 for tensor cores), fn
// unpack.

@group(0) @binding(1) var<storage, read> k: array<KV>;
@group(0) @binding(2) var<storage, read> v: array<KV>;

fn k_at(i: u32) -> Loaded { return unpack(k[i]); }
fn v_at(i: u32) -> Loaded { return unpack(v[i]); }
