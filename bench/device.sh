#!/usr/bin/env bash
# Measures everything on a machine with a GPU, through Dawn and Deno's own WebGPU: bash bench/device.sh OUT
#
# It needs no network. The most important steps come first, each has a time limit, and all of them end within 9.5
# minutes. A step that fails or takes too long leaves its log and what it has measured, and the next one starts.
# SECONDS_EACH and SECONDS_ALL lower the limits. A table of one screen comes last; OUT/summary.txt is a copy of it.
#
# OUT/logs.tar.gz holds a log of each step, what bench --save wrote, and the tuning files; every step renews it. If
# .offline/run exists, it runs the commands: a wrapper around a copy of Deno with its packages and Dawn, for machines
# that have nothing installed. Otherwise the Deno on PATH runs them.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?"name a folder for the logs"}
mkdir -p "$out"
work=$(mktemp -d)
logs=$work/logs
mkdir "$logs"
export HOME=${HOME:-/root} XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp} NO_COLOR=1 DENO_WEBGPU_BACKEND=vulkan
offline=()
[[ ! -f .offline/run ]] || offline=(bash .offline/run)
deadline=${SECONDS_ALL:-555}
failed=0
steps=()

# step NAME LIMIT LINES COMMAND …: runs a command for at most LIMIT seconds and shows the last LINES of its output
step() {
  local name=$1 limit=$2 lines=$3 began=$SECONDS code=0 each=${SECONDS_EACH:-$2}
  shift 3
  limit=$((limit < each ? limit : each))
  limit=$((limit < deadline - SECONDS ? limit : deadline - SECONDS))
  if ((limit < 1)); then
    echo "== $name: no time left"
    steps+=("$name: no time")
    failed=$((failed + 1))
    return
  fi
  timeout -k 5 "$limit" "${offline[@]}" "$@" >"$logs/$name.log" 2>&1 </dev/null || code=$?
  local word=ok
  ((code == 0)) || word="FAILED ($code)" failed=$((failed + 1))
  ((code != 124 && code != 137)) || word="too long"
  echo "== $name: $((SECONDS - began)) s of $limit, $word"
  steps+=("$name: $word")
  tail -n "$lines" "$logs/$name.log" | cut -c 1-140
  cp -r "${XDG_CACHE_HOME:-$HOME/.cache}/bitwise/tuning" "$logs" 2>/dev/null
  tar czf "$work/logs.tar.gz" -C "$work" logs && mv "$work/logs.tar.gz" "$out"
}

# no lock file, because Dawn is in none; no type check, because it takes time and needs no GPU
run=(deno run --no-lock --no-check -A)
bench=("${run[@]}" bench/main.ts)
# test files side by side: GPUs are fast, drivers compile slowly and one shader at a time
test=(deno test --parallel --no-lock --no-check -A --preload tests/backend.ts)
new=(tests/kernels/linear tests/kernels/attention tests/kernels/conv)
image=(generate --synthetic 2b -W 1024 -H 1024 --type f16 -s 7)
on_dawn=(env BITWISE_GPU=dawn)

step unpack 40 3 deno --version
step new_tests_dawn 60 6 "${on_dawn[@]}" "${test[@]}" "${new[@]}"
step new_tests_wgpu 40 6 "${test[@]}" "${new[@]}"
step doctor_dawn 15 20 "${run[@]}" cli.ts doctor --gpu dawn
step doctor_wgpu 15 16 "${run[@]}" cli.ts doctor --gpu wgpu
step tune_dawn 60 20 "${bench[@]}" --gpu dawn --tune
step tune_wgpu 50 20 "${bench[@]}" --gpu wgpu --tune
step gpu_dawn 60 20 "${bench[@]}" --gpu dawn --only gpu --save "$logs/gpu_dawn.json"
step gpu_wgpu 60 20 "${bench[@]}" --gpu wgpu --only gpu --save "$logs/gpu_wgpu.json"
step image_dawn 30 4 "${run[@]}" cli.ts "${image[@]}" --gpu dawn -o "$work/dawn.png" noise
step image_wgpu 30 4 "${run[@]}" cli.ts "${image[@]}" --gpu wgpu -o "$work/wgpu.png" noise
step stages_dawn 60 24 "${bench[@]}" --gpu dawn --only stages --save "$logs/stages_dawn.json"
step stages_wgpu 70 24 "${bench[@]}" --gpu wgpu --only stages --save "$logs/stages_wgpu.json"
step kernels_dawn 30 40 "${bench[@]}" --gpu dawn --only kernels --save "$logs/kernels_dawn.json"
step kernels_wgpu 30 40 "${bench[@]}" --gpu wgpu --only kernels --save "$logs/kernels_wgpu.json"
step shapes_dawn 40 20 "${bench[@]}" --gpu dawn --only shapes --models 2b --save "$logs/shapes_dawn.json"
step growth_dawn 40 12 "${bench[@]}" --gpu dawn --only growth --save "$logs/growth_dawn.json"
step loading_wgpu 15 6 "${bench[@]}" --only loading --save "$logs/loading_wgpu.json"
step all_tests_wgpu 200 8 "${test[@]}" --doc tests mod.ts engine kernels model
step all_tests_dawn 200 8 "${on_dawn[@]}" "${test[@]}" --doc tests mod.ts engine kernels model

{
  "${offline[@]}" "${run[@]}" bench/reports/summary.ts "$logs"
  echo
  printf '%s\n' "${steps[@]}" | paste -sd '|' | sed 's/|/, /g' | fold -s -w 110
  echo "$failed of ${#steps[@]} steps failed, $SECONDS s in all"
} 2>&1 | tee "$out/summary.txt"
((failed == 0))
