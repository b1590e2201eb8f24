#!/usr/bin/env bash
# tools.sh - the programs from the system that the checkout needs.
#
#   tools.sh venv     what making a virtual environment needs
#   tools.sh tests    what the tests run: git, strace, GNU patch, public-inbox, Coccinelle, Graphviz, cscope,
#                     PostgreSQL, Chromium, systemd
#
# What is missing is installed when root, else the line that installs it is named. For `venv` that is an error,
# for `tests` a note: tests that cannot run without a program say so and are skipped (in CI they fail).
set -euo pipefail
what=${1:-tests}
missing=()
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
case $what in
venv)
  need python3 "${PYTHON:-python3}" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))'
  need python3-venv "${PYTHON:-python3}" -c 'import ensurepip, venv'
  ;;
tests)
  need git command -v git
  need strace command -v strace
  need patch command -v patch
  need public-inbox command -v public-inbox-httpd
  need libsearch-xapian-perl perl -MSearch::Xapian -e 1
  need coccinelle command -v spatch
  need graphviz command -v dot
  need cscope command -v cscope
  need chromium command -v chromium
  need systemd sh -c 'command -v systemd-analyze && test -x /lib/systemd/systemd'
  need postgresql sh -c 'command -v postgres || ls /usr/lib/postgresql/*/bin/postgres'
  ;;
*) sed -n '4,6p' "$0" | sed 's/^# */usage: /' >&2; exit 2 ;;
esac
[ ${#missing[@]} -gt 0 ] || exit 0
line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "=== install: $line"
  log=$(mktemp)
  if { apt-get update && DEBIAN_FRONTEND=noninteractive $line; } >"$log" 2>&1; then rm -f "$log"; exit 0; fi
  tail -n 20 "$log" >&2; rm -f "$log"
else
  echo "missing on this machine: ${missing[*]} (as root: $line)" >&2
fi
[ "$what" = venv ] && exit 2
[ "${CI:-}" = true ] && exit 2
exit 0
