#!/usr/bin/env bash
# Any bytes against the parsers, the codecs and the tables: first the committed corpus, each input once, then new ones.
#   tests/fuzz/run.sh [SECONDS]          SECONDS in all, 60 if not said, in equal parts for the targets one by one
#   tests/fuzz/run.sh SECONDS TARGET     for this target only
# What is new and interesting goes to build/fuzz/corpus and is used again; what fails goes to build/fuzz/found: then make
# it a unit test, together with the fix.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-60}
targets=(message copy_line transaction codec)
[ $# -lt 2 ] || targets=("$2")
case $seconds in
  '' | *[!0-9]*)
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

mkdir -p build/fuzz/found
cmake --preset fuzz >build/fuzz/configure.log 2>&1 || {
  cat build/fuzz/configure.log >&2
  exit 1
}
cmake --build --preset fuzz
failed=0
for target in "${targets[@]}"; do
  program=build/fuzz/tests/fuzz/btreemapped_fuzz_$target
  corpus=tests/fuzz/corpus/$target
  found=build/fuzz/corpus/$target
  log=build/fuzz/$target.log
  mkdir -p "$found"
  # The first folder is the one that libFuzzer writes to.
  if "$program" -runs=0 -artifact_prefix="build/fuzz/found/$target-" "$corpus" >"$log" 2>&1 &&
    "$program" -max_total_time=$((seconds / ${#targets[@]})) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/found/$target-" "$found" "$corpus" >>"$log" 2>&1; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
  else
    failed=1
    grep -vE '^#[0-9]' "$log" | tail -n 40
    echo "$target: FAILED (see $log and build/fuzz/found)"
  fi
done
exit "$failed"
