#!/usr/bin/env bash
# Sets up what is missing, builds one example, and runs it against a throwaway PostgreSQL.
#   examples/run.sh [NAME [ARGUMENT...]] [--interactive]
# NAME is examples/NAME.cpp (basic); examples/NAME.sql, which makes table and publication, is run first.
# BTREEMAPPED_DSN names another server, which is then used as it is: wal_level must be logical there.
# --interactive leaves the example running and prints the psql line to play with; end it with Ctrl-C. The example is
# called with the connection string, the arguments, and --interactive.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=
arguments=()
interactive=()
for argument in "$@"; do
  case $argument in
    --interactive) interactive=(--interactive) ;;
    -*)
      sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
    *) if [ -z "$name" ]; then name=$argument; else arguments+=("$argument"); fi ;;
  esac
done
name=${name:-basic}
[ -e "examples/$name.cpp" ] || {
  echo "no examples/$name.cpp; there is:" examples/*.cpp >&2
  exit 2
}

cmake/bootstrap.sh
mkdir -p build
preset=dev
cmake --preset "$preset" >build/configure.log 2>&1 || {
  cat build/configure.log >&2
  exit 1
}
cmake --build --preset "$preset" --target "btreemapped_example_$name" >build/example.log 2>&1 || {
  cat build/example.log >&2
  exit 1
}

if [ -z "${BTREEMAPPED_DSN:-}" ]; then
  state=$PWD/build/example-postgres-$$
  trap 'tests/support/postgres.sh remove "$state"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  BTREEMAPPED_DSN=$(tests/support/postgres.sh start "$state")
fi
if [ -e "examples/$name.sql" ]; then
  psql "$BTREEMAPPED_DSN" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file "examples/$name.sql"
fi
if [ ${#interactive[@]} -gt 0 ]; then trap : INT; fi # Ctrl-C is for the example; then the server is stopped
status=0
"build/$preset/examples/$name" "$BTREEMAPPED_DSN" "${arguments[@]}" "${interactive[@]}" || status=$?
exit "$status"
