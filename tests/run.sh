#!/usr/bin/env bash
# Sets up what is missing, builds, and runs the tests.
#   tests/run.sh                all of them
#   tests/run.sh unit           those with a label: unit compile house consumer integration model fault standby
#   tests/run.sh 'moved key'    those whose name matches a regular expression
#   tests/run.sh fuzz [SECONDS] what no list of tests has, see tests/fuzz/run.sh
#   tests/run.sh soak [TIME]    every fault in every phase, for 90s, 30m or 2h: two minutes unless you say. It prints
#                               its seed, which BTREEMAPPED_TEST_SEED repeats, and what it has seen, fault by fault;
#                               BTREEMAPPED_SOAK_FAULT=TEXT draws only the faults whose names hold the text
#   tests/run.sh feared         that bugs turn tests red, see tests/feared/run.sh
#   tests/run.sh --postgres 17 [LABEL or NAME]
#                               against that version, which is brought first (see tests/support/bring_postgres.sh);
#                               without a label all that needs a server
# BTREEMAPPED_PRESET picks another preset than dev (see CMakePresets.json).
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=${BTREEMAPPED_PRESET:-dev}
case ${1:-} in
  fuzz)
    cmake/bootstrap.sh --ci
    exec tests/fuzz/run.sh "${@:2}"
    ;;
  feared)
    cmake/bootstrap.sh
    exec tests/feared/run.sh "${@:2}"
    ;;
esac
soak=
if [ "${1:-}" = soak ]; then
  soak=${2:-2m}
  [[ $# -le 2 && $soak =~ ^[1-9][0-9]*[smh]$ ]] || {
    echo "run.sh: how long? 90s, 30m, 2h" >&2
    exit 2
  }
  case $soak in
    *s) soak=${soak%s} ;;
    *m) soak=$((${soak%m} * 60)) ;;
    *h) soak=$((${soak%h} * 3600)) ;;
  esac
  set --
fi
postgres=
if [ "${1:-}" = --postgres ] && [ $# -ge 2 ]; then
  postgres=$2
  shift 2
fi
[ $# -le 1 ] || {
  sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

cmake/bootstrap.sh
if [ -n "$postgres" ]; then
  server=$(tests/support/bring_postgres.sh "$postgres")
  unset PG_ROOT PG_BINDIR BTREEMAPPED_TEST_DSN
  export "${server?}"
fi
mkdir -p build
cmake --preset "$preset" >build/configure.log 2>&1 || {
  cat build/configure.log >&2
  exit 1
}
if [ -n "$soak" ]; then
  cmake --build --preset "$preset" --target btreemapped_fault_tests
  BTREEMAPPED_SOAK_SECONDS=$soak exec "build/$preset/tests/btreemapped_fault_tests" '[soak]'
fi
cmake --build --preset "$preset"

chosen=()
[ -z "$postgres" ] || chosen=(-L '^(integration|model|fault|standby)$')
if [ $# -eq 1 ]; then
  if ctest --preset "$preset" --print-labels | grep -qx -e "  $1"; then
    chosen=(-L "^$1\$")
  else
    chosen=(-R "$1")
  fi
fi
exec ctest --preset "$preset" --no-tests=error "${chosen[@]}"
