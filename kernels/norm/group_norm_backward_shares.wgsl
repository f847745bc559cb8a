// shares[b, 0, c] = inverse · Σ weight · sums / n and shares[b, 1, c] = inverse² · Σ weight · products / n over the channels
// of c's group, where n is the group's number of elements: what each element changes of the group's mean and deviation.
//
// One invocation takes a channel of an image.
//
// Prelude (group_norm_backward.ts): WG.

struct Params {
  area: u32, // pixels of an image
  C: u32, // channels
  width: u32, // channels of a group
  count: u32, // images · channels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [images, C]
@group(0) @binding(2) var<storage, read> products: array<f32>; // [images, C]
@group(0) @binding(3) var<storage, read> moments: array<f32>; // [images, 3, C]
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> shares: array<f32>; // [images, 2, C]

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let image = i / params.C;
  let c = i % params.C;
  let first = c / params.width * params.width;
  var total = vec2<f32>();
  for (var k = first; k < first + params.width; k++) {
    let at = image * params.C + k;
    total = fma(vec2(weight[k]), vec2(sums[at], products[at]), total);
  }
  total /= f32(params.area * params.width);
  let inverse = moments[(image * 3 + 2) * params.C + c];
  shares[image * 2 * params.C + c] = inverse * total.x;
  shares[(image * 2 + 1) * params.C + c] = inverse * inverse * total.y;
}
