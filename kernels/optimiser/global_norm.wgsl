// The second step of the norm of all gradients, and what follows from it for one update of AdamW: one workgroup adds the
// parts in a fixed order, and its first invocation decides. All of it stays on the GPU, so that no step waits for the
// host: whether the norm and the loss are finite, how far gradients are clipped, and how many updates there were.
//
// Bias corrections 1 − βⁿ follow from those of the update before, c ← β c + (1 − β): in f32 a power would lose digits.
//
// Prelude (global_norm.ts): WG, finite.wgsl.

struct Params {
  count: u32, // parts
  unscale: f32, // what brings gradients to their true size
  clip: f32, // largest norm; 0: any
  beta1: f32,
  rest1: f32, // 1 − beta1
  beta2: f32,
  rest2: f32,
  ema: f32, // largest decay of the moving average
  step: u32,
  stop: u32, // whether a norm that is not finite stops all further updates
  loss: u32, // place of the loss in the journal
  entry: u32, // place in the journal for the norm and whether there was no update
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> status: array<u32>; // status.ts; floats as their bits
@group(0) @binding(3) var<storage, read_write> journal: array<u32>; // likewise

var<workgroup> sums: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) place: u32) {
  var sum = 0.0;
  for (var i = place; i < params.count; i += WG) { sum += parts[i]; }
  sums[place] = sum;
  for (var half = WG / 2u; half > 0; half /= 2) {
    workgroupBarrier();
    if (place < half) { sums[place] += sums[place + half]; }
  }
  if (place > 0) { return; }

  let squares = sums[0];
  let norm = sqrt(squares);
  let sound = is_finite(bitcast<u32>(squares));
  let lost = !is_finite(journal[params.loss]);
  if (status[STOPPED] == 0 && (lost || (!sound && params.stop != 0))) {
    status[STOPPED] = params.step + 1;
  }
  let skip = !sound || status[STOPPED] != 0;
  status[SKIP] = u32(skip);
  journal[params.entry] = bitcast<u32>(norm);
  journal[params.entry + 1] = status[STOPPED];
  journal[params.entry + 2] = u32(skip);
  if (skip) { return; }

  var factor = params.unscale;
  if (params.clip > 0) { factor *= min(1, params.clip / (norm + 1e-6)); }
  status[FACTOR] = bitcast<u32>(factor);
  let updates = status[UPDATES] + 1;
  status[UPDATES] = updates;
  status[CORRECTION1] = bitcast<u32>(params.beta1 * bitcast<f32>(status[CORRECTION1]) + params.rest1);
  status[CORRECTION2] = bitcast<u32>(params.beta2 * bitcast<f32>(status[CORRECTION2]) + params.rest2);
  let n = f32(updates);
  status[EMA_REST] = bitcast<u32>(1 - min(params.ema, (1 + n) / (10 + n)));
}
