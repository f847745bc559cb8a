// y[b, row, column] = a scene: a background of three gradients, dots on it, then objects from back to front, each a
// sprite that is turned, scaled and perhaps recoloured, with a shadow under it.
//
// All that a scene consists of was drawn on the CPU and lies in `scenes`; an invocation makes one pixel, so that no two
// exchange anything. Sprites are read with bilinear weights from one of their levels, whose texels hold straight colours:
// weights times coverage make the mean that premultiplied colours would have.
//
// Prelude (compose_scenes.ts): WG, HEAD, OBJECT (vec4s of a scene and of an object), fn divide(a, b).

struct Params {
  pixels: u32,
  size: u32, // pixels across and down
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scenes: array<vec4<u32>>; // u32, since f32 may lose small whole numbers
@group(0) @binding(2) var<storage, read> texels: array<u32>; // red lowest, then green, blue and coverage
@group(0) @binding(3) var<storage, read> shares: array<u32>; // four texels in a word
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn floats(at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(scenes[at]);
}

// The sky, a band below the horizon, and the ground, each a gradient; edges are one pixel wide.
fn background(scene: u32, place: vec2<f32>) -> vec3<f32> {
  let sky_top = floats(scene);
  let sky_low = floats(scene + 1);
  let horizon = sky_top.w;
  let shore = sky_low.w;
  let sky = mix(sky_top.xyz, sky_low.xyz, saturate(place.y / min(horizon, 1)));
  let t = saturate((place.y - horizon) / max(shore - horizon, 1e-3));
  let band = mix(floats(scene + 2).xyz, floats(scene + 3).xyz, t);
  let s = saturate((place.y - shore) / max(1 - shore, 1e-3));
  let ground = mix(floats(scene + 4).xyz, floats(scene + 5).xyz, s);
  let size = f32(params.size);
  let far = mix(sky, band, saturate((place.y - horizon) * size + 0.5));
  return saturate(mix(far, ground, saturate((place.y - shore) * size + 0.5)));
}

// The strongest of the dots here: discs, and those of negative strength rings with a faint inside.
fn dots(first: u32, count: u32, place: vec2<f32>) -> f32 {
  let size = f32(params.size);
  var most = 0.0;
  for (var i = 0u; i < count; i++) {
    let spot = floats(first + i);
    let d = distance(place, spot.xy) * size;
    let r = spot.z * size;
    let disc = saturate(r + 0.7 - d);
    let ring = disc * 0.35 + saturate(1 - abs(d - r)) * 0.5;
    most = max(most, abs(spot.w) * select(disc, ring, spot.w < 0));
  }
  return most;
}

struct Sample {
  rgb: vec3<f32>,
  coverage: f32,
  share: f32, // of the colour that recolouring replaces
}

// Adds a texel to the sums of a sample, which are weighted by coverage; outside a sprite there is nothing.
fn tap(first: u32, side: i32, x: i32, row: i32, weight: f32, sum: ptr<function, Sample>) {
  if (x < 0 || row < 0 || x >= side || row >= side) { return; }
  let at = first + u32(row * side + x);
  let texel = unpack4x8unorm(texels[at]);
  let share = f32((shares[at >> 2] >> (8 * (at & 3))) & 255) / 255;
  let w = weight * texel.w;
  (*sum).rgb += w * texel.xyz;
  (*sum).coverage += w;
  (*sum).share += w * share;
}

// `at`: in texels of a level of `side` x `side` that begins at `first`.
fn sprite(first: u32, side: i32, at: vec2<f32>) -> Sample {
  var sum = Sample(vec3(0), 0, 0);
  let corner = floor(at - 0.5);
  if (any(corner < vec2(-1)) || any(corner >= vec2(f32(side)))) { return sum; }
  let f = at - 0.5 - corner;
  let x = i32(corner.x);
  let row = i32(corner.y);
  tap(first, side, x, row, (1 - f.x) * (1 - f.y), &sum);
  tap(first, side, x + 1, row, f.x * (1 - f.y), &sum);
  tap(first, side, x, row + 1, (1 - f.x) * f.y, &sum);
  tap(first, side, x + 1, row + 1, f.x * f.y, &sum);
  return sum;
}

// Replaces a colour by one of the same lightness relative to `reference`, so that shades and highlights stay.
fn recoloured(rgb: vec3<f32>, colour: vec3<f32>, reference: f32) -> vec3<f32> {
  let lightness = dot(rgb, vec3(0.299, 0.587, 0.114));
  let shaded = colour * pow(saturate(lightness / reference), 0.85);
  let lit = mix(colour, vec3(1), 0.75 * saturate((lightness - reference) / (1.3 - reference)));
  return select(lit, shaded, lightness < reference);
}

fn draw(object: u32, place: vec2<f32>, below: vec3<f32>) -> vec3<f32> {
  let across = scenes[object];
  let down = floats(object + 1);
  let colour = floats(object + 2);
  let shadow = floats(object + 3);
  let strength = floats(object + 4).x;
  let d = (place - shadow.xy) * shadow.zw;
  let base = below * (1 - strength * exp(-dot(d, d)));
  let at = vec3(place, 1);
  let row = bitcast<vec3<f32>>(across.xyz);
  let sum = sprite(across.w, i32(down.w), vec2(dot(row, at), dot(down.xyz, at)));
  if (sum.coverage <= 0) { return base; }
  var rgb = sum.rgb / sum.coverage;
  if (colour.w > 0) {
    rgb = mix(rgb, recoloured(rgb, colour.xyz, colour.w), sum.share / sum.coverage);
  }
  return mix(base, rgb, sum.coverage);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let p = id.y * groups.x * WG + id.x;
  if (p >= params.pixels) { return; }
  let line = divide(p, params.size);
  let b = divide(line, params.size);
  let pixel = vec2(p - line * params.size, line - b * params.size);
  let place = (vec2<f32>(pixel) + 0.5) / f32(params.size);
  let scene = b * HEAD;
  var rgb = background(scene, place);
  let more = scenes[scene + HEAD - 1]; // first object, objects, first dot, dots
  rgb = mix(rgb, vec3(1), 0.9 * dots(more.z, more.w, place));
  for (var k = 0u; k < more.y; k++) {
    rgb = draw(more.x + k * OBJECT, place, rgb);
  }
  let value = rgb * 2 - 1;
  y[3 * p] = value.x;
  y[3 * p + 1] = value.y;
  y[3 * p + 2] = value.z;
}
