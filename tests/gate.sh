#!/usr/bin/env bash
# gate.sh - everything that must hold before a change lands, one step after the other, each with its own verdict.
# All steps run even when one fails; the exit code is 0 only when all held. `make test` calls it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
bin=${BIN:-.venv/bin}
names=() codes=()
step() {
  local name=$1 start=$SECONDS code=0
  shift
  printf '\n=== %s: %s\n' "$name" "$*"
  "$@" || code=$?
  names+=("$name") codes+=("$code")
  printf '=== %s: %s (%d s)\n' "$name" "$([ "$code" = 0 ] && echo ok || echo "failed, exit code $code")" $((SECONDS - start))
}
export PATH="$PWD/$bin:$bin:$PATH"
step format "$bin/ruff" format --check --output-format concise bot rules tests
step lint "$bin/ruff" check --output-format concise bot rules tests
step types "$bin/mypy"
step layers "$bin/lint-imports" --no-cache
step tests "$bin/python" -m pytest -n 2 -q -rs --durations=8
printf '\n=== summary\n'
failed=0
for i in "${!names[@]}"; do
  printf '%-8s %s\n' "${names[$i]}" "$([ "${codes[$i]}" = 0 ] && echo ok || echo "failed (${codes[$i]})")"
  [ "${codes[$i]}" = 0 ] || failed=1
done
exit $failed
