#!/usr/bin/env bash
# Measures everything on a machine with a GPU: bash bench/device.sh OUT
#
# It needs no network. The most important steps come first, each has a time limit, and all of them end within 9 minutes.
# A step that fails or takes too long leaves its log, and the next one starts. SECONDS_EACH and SECONDS_ALL lower the
# limits.
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
deadline=${SECONDS_ALL:-540}
failed=0

# step NAME LIMIT LINES COMMAND …: runs a command for at most LIMIT seconds and shows the last LINES of its output
step() {
  local name=$1 limit=$2 lines=$3 began=$SECONDS code=0 each=${SECONDS_EACH:-$2}
  shift 3
  limit=$((limit < each ? limit : each))
  limit=$((limit < deadline - SECONDS ? limit : deadline - SECONDS))
  if ((limit < 1)); then
    echo "== $name: no time left"
    failed=$((failed + 1))
    return
  fi
  timeout -k 5 "$limit" "${offline[@]}" "$@" >"$logs/$name.log" 2>&1 </dev/null || code=$?
  ((code == 0)) || failed=$((failed + 1))
  echo "== $name: $((SECONDS - began)) s of $limit, ended with $code$( ((code != 124)) || echo ', too long')"
  tail -n "$lines" "$logs/$name.log" | cut -c 1-120
  cp -r "${XDG_CACHE_HOME:-$HOME/.cache}/bitwise/tuning" "$logs" 2>/dev/null
  tar czf "$work/logs.tar.gz" -C "$work" logs && mv "$work/logs.tar.gz" "$out"
}

# no lock file, because Dawn is in none; no type check, because it takes time and needs no GPU
run=(deno run --no-lock --no-check -A)
test=(deno test --no-check -A --preload tests/backend.ts)

step unpack 40 3 deno --version
step doctor 20 20 "${run[@]}" cli.ts doctor
step doctor_dawn 20 20 "${run[@]}" cli.ts doctor --gpu dawn
step kernel_tests 60 8 "${test[@]}" tests/kernels tests/engine
step tune 45 20 "${run[@]}" bench/main.ts --tune
step kernels 45 20 "${run[@]}" bench/main.ts --only kernels --save "$logs/kernels.json"
step shapes 60 20 "${run[@]}" bench/main.ts --only shapes --models 2b --save "$logs/shapes.json"
step generate 40 4 "${run[@]}" cli.ts generate --synthetic 2b -W 1024 -H 1024 --type f16 -s 7 \
  -o "$work/noise.png" "noise"
step tune_dawn 45 20 "${run[@]}" bench/main.ts --gpu dawn --tune
step shapes_dawn 60 20 "${run[@]}" bench/main.ts --gpu dawn --only shapes --models 2b \
  --save "$logs/shapes_dawn.json"
step end_to_end 45 4 "${run[@]}" bench/main.ts --only end_to_end --save "$logs/end_to_end.json"
step growth 60 4 "${run[@]}" bench/main.ts --only growth --save "$logs/growth.json"
step all_tests 540 8 "${test[@]}" --doc tests mod.ts engine kernels model
echo "== $failed steps failed, $SECONDS s in all"
((failed == 0))
