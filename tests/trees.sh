#!/usr/bin/env bash
# trees.sh - the kernel sources and the labelled changes over them, unpacked where the tests look for them.
#
#   trees.sh [VERSION]...        default: 6.12 7.2 6.1 5.10
#
# They go to $LORELINT_TREES (default: ~/.cache/lorelint/trees) and beside it to overlays/ ($LORELINT_OVERLAYS). The
# scripts that fetch them and the labels are in the shared corpora: $LORELINT_SHARED, else ../shared beside the checkout.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
shared=${LORELINT_SHARED:-$top/../shared}
trees=${LORELINT_TREES:-$HOME/.cache/lorelint/trees}
overlays=${LORELINT_OVERLAYS:-$(dirname "$trees")/overlays}
fetch=$shared/corpora/kernel/trees.sh
[ -f "$fetch" ] || { echo "trees: $fetch is not there (set LORELINT_SHARED)" >&2; exit 2; }
[ $# -gt 0 ] || set -- 6.12 7.2 6.1 5.10
mkdir -p "$trees"
for version; do
  [ -f "$trees/linux-source-$version/Makefile" ] && { echo "linux-source-$version: there"; continue; }
  case $version in
  6.12 | 6.1) suite=bookworm ;;
  5.10) suite=bullseye ;;
  7.2) suite=sid ;;
  *) echo "trees: no suite known for $version" >&2; exit 2 ;;
  esac
  bash "$fetch" "$trees" "$suite:linux-source-$version"
done
# Made anew only when the cases or the trees at hand have changed.
stamp=$(cat "$shared"/corpora/kernel/overlays/*.patch "$shared/corpora/kernel/overlays.sh" | sha256sum | cut -c1-16)-$(ls "$trees" | grep -c '^linux-source')
if [ "$(cat "$overlays/.made" 2>/dev/null)" != "$stamp" ] && [ -z "$(find "$overlays" -maxdepth 0 ! -writable 2>/dev/null)" ]; then
  mkdir -p "$overlays"
  bash "$shared/corpora/kernel/overlays.sh" "$trees" "$overlays" >/dev/null
  echo "$stamp" >"$overlays/.made"
fi
echo "overlays: $(find "$overlays" -mindepth 1 -maxdepth 1 -type d | wc -l)"
