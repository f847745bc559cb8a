#!/bin/sh
# Runs the tests on Dawn, Chromium's WebGPU, over Mesa's software adapter; arguments go to `deno test`, all tests if there
# are none; `tests/dawn.sh run FILE` runs a program. Dawn refuses Debian 12's Mesa, and only newer ones multiply subgroup
# matrices, so that of Debian 13's backports is unpacked into a cache folder (400 MB) with the libraries it wants, and a
# copy of Deno that is bound to them. Nothing is installed, no rights are needed; amd64 and arm64, with apt.
# BITWISE_CACHE names another folder. Dawn leaves out its own checks of bounds, as bitwise uses it; BITWISE_ROBUSTNESS=1
# keeps them.
set -eu
cd "$(dirname "$0")/.."

cache=${BITWISE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bitwise-dawn}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=http://deb.debian.org/debian

die() {
  printf 'dawn: %s\n' "$*" >&2
  exit 1
}

# apt over Debian 13, as if nothing were installed
apt() {
  apt-get -qq -o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::Cache="$work" \
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
    -o APT::Sandbox::User="$(id -un)" "$@"
}

unpack() {
  work=$1/apt root=$1/root
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$root"
  : >"$work/status"
  for suite in trixie trixie-backports; do
    echo "deb [signed-by=$keys] $mirror $suite main"
  done >"$work/sources.list"
  apt update
  apt -y -t trixie-backports --no-install-recommends --download-only \
    install mesa-vulkan-drivers libc6 patchelf
  for file in "$work"/archives/*.deb; do dpkg-deb --fsys-tarfile "$file" | tar -x -C "$root"; done
  rm -r "$work"
}

if [ ! -x "$cache/deno" ]; then
  [ -r "$keys" ] || die "cannot check what Debian sends: apt-get install debian-archive-keyring"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/new.XXXXXX")
  new=$work
  trap 'rm -rf "$new"' EXIT
  unpack "$new" >"$cache/log" 2>&1 || die "could not unpack Mesa, see $cache/log"
  rm -rf "$cache/root"
  mv "$new/root" "$cache/root"
  lib=$(dirname "$(ls "$cache"/root/usr/lib/*/libvulkan_lvp.so)")
  loader=$(ls "$lib"/ld-linux-*.so.?)
  printf '{"file_format_version":"1.0.0","ICD":{"api_version":"1.4","library_path":"%s"}}\n' \
    "$lib/libvulkan_lvp.so" >"$cache/icd.json"
  cp "$(deno eval --no-config 'console.log(Deno.execPath())')" "$new/deno"
  "$loader" --library-path "$lib" "$cache/root/usr/bin/patchelf" --set-interpreter "$loader" \
    --force-rpath --set-rpath "$lib" "$new/deno"
  mv "$new/deno" "$cache/deno"
  rm -rf "$new"
fi

export VK_ICD_FILENAMES="$cache/icd.json" VK_DRIVER_FILES="$cache/icd.json" BITWISE_GPU=dawn
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
# tests start "deno" too, which must find this Mesa
export PATH="$cache:$PATH"
case "${1-}" in
  "") set -- test --doc tests mod.ts engine kernels model ;;
  run) ;;
  *) set -- test "$@" ;;
esac
command=$1
shift
# without the lock, or Deno would note npm:webgpu there and everyone would download it
exec "$cache/deno" "$command" -A --no-lock --preload tests/backend.ts "$@"
