// patches[p, tap, c] = x under a tap of output pixel p, zero in the padding: what a convolution multiplies by its weight,
// written out for the product with dy that is the gradient by the weight.
//
// One invocation moves a vec4 of channels under all taps of a pixel; C is padded with zeros to whole vec4s.
//
// Prelude (conv2d_backward_weight.ts): WG, SIZE, X (elements of x as bound: scalar or vec4), U (vec4 of patches as
// stored); fns divide, load_x, narrow.

struct Params {
  count: u32, // invocations
  height: u32, // of output
  width: u32,
  in_height: u32,
  in_width: u32,
  C: u32, // channels of x
  vectors: u32, // vec4s of a pixel
  stride: u32,
  pad: u32,
  upsample: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> patches: array<U>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let pixel = divide(i, params.vectors);
  let c = i - pixel * params.vectors;
  let line = divide(pixel, params.width);
  let image = divide(line, params.height);
  // wraps to a large number before the first row or column
  let first = vec2(line - image * params.height, pixel - line * params.width) * params.stride - params.pad;
  let size = vec2(params.in_height, params.in_width) << vec2(params.upsample);
  var to = pixel * SIZE * SIZE * params.vectors + c;
  for (var ky = 0u; ky < SIZE; ky++) {
    for (var kx = 0u; kx < SIZE; kx++) {
      let at = first + vec2(ky, kx);
      let inside = all(at < size);
      let q = at >> vec2(params.upsample);
      let source = select(0, (image * params.in_height + q.x) * params.in_width + q.y, inside);
      patches[to] = narrow(select(vec4(0.0), load_x(source, c), inside));
      to += params.vectors;
    }
  }
}
