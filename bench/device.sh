#!/usr/bin/env bash
# Measures everything on a machine with a GPU that is lent for 10 minutes, without network and with nothing installed.
# What matters most comes first; each step has a limit, and all of them end after 9 minutes. A step that fails, or takes
# too long, leaves its log, and the next begins.
#
#     ../shared/gpu/pack.sh cli.ts bench/main.ts tests/backend.ts $(git ls-files '*_test.ts') npm:webgpu@0.6.2
#     git checkout deno.lock # which the line above has written Dawn into
#     cd tests/goldens && rm -f {transformer_tiny,transformer_rope_variants,vae_d16,t5_tiny,bsq_only}*.pack
#     rm -f ../../assets/models/emoji-nano/*.png; cd ../.. # afterwards: git checkout tests assets
#
# packs Deno, its packages and Dawn (with the native binary: it is a file of the npm package) into .offline/, in a clone,
# not in a worktree. What may travel is 64 MiB, and .offline/ is 36 of them: tests that want a file which stayed fail with
# NotFound. Then, with the tool `run` in the repository's root:
#
#     carry: [".offline"], command: bash bench/device.sh "$OUT", timeout_s: 600
#
# $OUT/logs.tar.gz (at most 8 files come back) holds a log of each step, what bench --save wrote and the tuning files; it is
# made anew after every step. Without .offline/ the Deno on PATH is used. SECONDS_EACH and SECONDS_ALL lower the limits.
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

# step NAME LIMIT LINES COMMAND …: runs a command for at most LIMIT seconds, and shows the last LINES of what it says
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

# no lock: Dawn is in none. No check of types: it takes time and needs no GPU
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
