#!/usr/bin/env bash
# measure.sh - every measurement of every rule, and the ledger that stages follow from.
#
#   measure.sh [labels|mail|points|years|mutate|judged]...        default: all of them
#
# labels   the shared labels, on the four trees
# mail     every series of the shared linaro-mm-sig that applies to 6.12
# points   files that differ between 6.12.107 and 6.12.117, each as a patch; fetched beside the trees ($LORELINT_POINTS)
# years    files that differ between 6.1 and 6.12, likewise ($LORELINT_FILES of each pair, default 700)
# mutate   every check that can be taken out of a function of 6.12 ($LORELINT_CUTS: at most so many of each kind)
# judged   what persons made of places: corpora/kernel
#
# Tables go to build/measure/, figures to corpora/ledger.toml. Trees and labels are found as trees.sh finds them; an index of
# 6.12 (`lorelint index`) makes it several times faster.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${LORELINT_SHARED:-../shared}
trees=${LORELINT_TREES:-$HOME/.cache/lorelint/trees}
overlays=${LORELINT_OVERLAYS:-$(dirname "$trees")/overlays}
points=${LORELINT_POINTS:-$(dirname "$trees")/points}
lorelint=${LORELINT:-.venv/bin/lorelint}
new=--tree=linux-source-6.12=$trees/linux-source-6.12
out=build/measure
mkdir -p "$out"
[ $# -gt 0 ] || set -- labels mail points years mutate judged

run() { # NAME ARGUMENTS...: one measurement, its table kept
  local name=$1
  shift
  echo "=== measure: $name"
  "$lorelint" measure "$@" --judged corpora/kernel --ledger corpora/ledger.toml --jobs "${LORELINT_JOBS:-2}" --time \
    >"$out/$name.txt"
  grep -m1 -E '^all rules|^checks taken|^judged by' "$out/$name.txt" || true
}

for what; do
  case $what in
  labels)
    run labels --labels "$shared/corpora/kernel/labels.jsonl" --overlays "$overlays" "$new" \
      --tree="$trees/linux-source-5.10" --tree="$trees/linux-source-6.1" --tree="$trees/linux-source-7.2"
    ;;
  mail) run mail --mail "$shared/corpora/mail/linaro-mm-sig" "$new" ;;
  points)
    deb=linux-source-6.12=6.12.107-1~deb12u1
    [ -f "$points/${deb/=/-}/Makefile" ] || bash "$shared/corpora/kernel/trees.sh" "$points" "bookworm:$deb"
    run points --between 6.12.107 linux-source-6.12 --tree="6.12.107=$points/${deb/=/-}" "$new" --sample "${LORELINT_FILES:-700}"
    ;;
  years)
    run years --between linux-source-6.1 linux-source-6.12 --tree="$trees/linux-source-6.1" "$new" \
      --sample "${LORELINT_FILES:-700}"
    ;;
  mutate) run mutate --mutate . "$new" ${LORELINT_CUTS:+--sample "$LORELINT_CUTS"} ;;
  judged) run judged ;;
  *) echo "measure: no measurement called $what" >&2 && exit 2 ;;
  esac
done
