#!/bin/sh
# Prepares a machine for bitwise: installs Deno, and a Vulkan adapter (Mesa's software one on Debian or
# Ubuntu if there is no other). With --tests, also Chromium and Redis, which some tests use. Prints one
# line for each step; on a ready machine only "ready".
set -eu
HOME=${HOME:-/root}

DENO=2.9.6 # installed if Deno is missing
DENO_MIN=2.9 # has text imports, which load the shaders

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log

die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# Runs a command; its output goes to the log, which is shown only if everything fails.
try() {
  "$@" >>"$log" 2>&1 </dev/null
}

die_with_log() {
  tail -n 3 "$log" >&2
  die "$@"
}

on_path() {
  case ":$PATH:" in *":$1:"*) return 0 ;; *) return 1 ;; esac
}

apt_install() {
  root=
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || die "run as root: apt-get install -y $*"
    root=sudo
  fi
  get="$root env DEBIAN_FRONTEND=noninteractive apt-get -qq"
  # A fresh image has no package lists, an old one has stale ones: only then are they fetched.
  if ! try $get install -y --no-install-recommends "$@"; then
    try $get update || die_with_log "apt-get update failed"
    try $get install -y --no-install-recommends "$@" || die_with_log "apt-get could not install $*"
  fi
  echo "installed $* (apt-get)"
}

# The first folder on the caller's PATH that we may write to, so that `./setup.sh && deno …` works.
choose_prefix() {
  for prefix in "$(npm prefix -g 2>/dev/null || true)" /usr/local "$HOME/.local"; do
    if [ -n "$prefix" ] && on_path "$prefix/bin" && try mkdir -p "$prefix/bin" "$prefix/lib" &&
      [ -w "$prefix/bin" ] && [ -w "$prefix/lib" ]; then
      return
    fi
  done
  prefix=$HOME/.local
  if on_path /usr/local/bin && have sudo && try sudo -n true; then
    prefix=/usr/local as_owner=sudo
  fi
}

from_npm() {
  have npm && try $as_owner npm install -g --prefix "$prefix" --no-fund --no-audit "deno@$DENO"
}

from_installer() {
  try curl -fsSL -o "$work/install.sh" https://deno.land/install.sh || return 1
  try $as_owner env DENO_INSTALL="$prefix" sh "$work/install.sh" "v$DENO"
}

# The same program, for networks that reach the npm registry but not deno.land.
from_registry() {
  case "$(uname -s) $(uname -m)" in
    "Linux x86_64") name=linux-x64-glibc ;;
    "Linux aarch64") name=linux-arm64-glibc ;;
    "Darwin x86_64") name=darwin-x64 ;;
    "Darwin arm64") name=darwin-arm64 ;;
    *) return 1 ;;
  esac
  url=https://registry.npmjs.org/@deno/$name/-/$name-$DENO.tgz
  try curl -fsSL -o "$work/deno.tgz" "$url" && try $as_owner mkdir -p "$prefix/bin" &&
    try $as_owner tar -xzf "$work/deno.tgz" -C "$prefix/bin" --strip-components=1 package/deno &&
    try $as_owner chmod 755 "$prefix/bin/deno"
}

install_deno() {
  as_owner=
  choose_prefix
  if ! from_npm; then
    if ! have curl || ! have unzip; then
      have apt-get || die "install curl and unzip, then run this again"
      apt_install ca-certificates curl unzip
    fi
    from_installer || from_registry || die_with_log "could not install Deno: https://deno.com"
  fi
  echo "installed Deno $DENO in $prefix/bin"
  on_path "$prefix/bin" ||
    die "deno is not on your PATH yet: run  export PATH=\"$prefix/bin:\$PATH\"  and this again"
}

new_enough() {
  deno eval --no-config 'const [have, least] = [Deno.version.deno, Deno.args[0]].map((v) =>
    v.split(".").map(Number));
  Deno.exit((have[0] - least[0] || have[1] - least[1]) >= 0 ? 0 : 1);' "$DENO_MIN"
}

# On Linux only Vulkan counts: the OpenGL adapter that Deno may find has no subgroups and no f16.
adapter() {
  case $(uname -s) in Linux) export DENO_WEBGPU_BACKEND=vulkan ;; esac
  try deno eval --no-config 'Deno.exit(await navigator.gpu?.requestAdapter() ? 0 : 1)'
}

# What tests of the page, of the engine in a tab and of the queue use; without it they are skipped.
install_for_tests() {
  for tool in chromium redis-server; do
    have $tool || { have apt-get && (apt_install $tool); } ||
      echo "$tool is not installed, so tests that use it are skipped"
  done
}

case ${1-} in
  "" | --tests) ;;
  *) die "unknown argument $1: give --tests, or nothing" ;;
esac

have deno || install_deno
try new_enough ||
  die "$(command -v deno) is too old or does not start, bitwise needs Deno $DENO_MIN: run  deno upgrade  and this again"

if ! adapter; then
  [ "$(uname -s)" = Linux ] || die "Deno finds no GPU adapter on this machine"
  have apt-get || die "no Vulkan adapter: install your GPU's driver, or Mesa's software one (lavapipe)"
  apt_install mesa-vulkan-drivers
  adapter || die "still no Vulkan adapter: see what  vulkaninfo --summary  says"
fi
[ -z "${1-}" ] || install_for_tests
echo ready
