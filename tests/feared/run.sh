#!/usr/bin/env bash
# Puts each bug of list.txt back, one at a time, and shows that its test turns red; status 1 if one survives.
#   tests/feared/run.sh             all of them
#   tests/feared/run.sh PATTERN     those whose name matches a regular expression
# A bug is a changed header in a folder that comes before ours, so just one test source is compiled for it, and once
# more without the bug: then the test must pass.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
fail() {
  echo "feared: $*" >&2
  exit 1
}
pattern=${1:-.}
build=$PWD/build/feared
state=$build/postgres
names=() headers=() sources=() tests=() olds=() news=()

# ---- the list -------------------------------------------------------------------------------------------------------

last=-1
while IFS= read -r line; do
  case $line in
    'bug '*)
      last=${#names[@]}
      names+=("${line#bug }") headers+=('') sources+=('') tests+=('') olds+=('') news+=('')
      ;;
    'header '*) headers[last]=${line#header } ;;
    'source '*) sources[last]=${line#source } ;;
    'test '*) tests[last]=${line#test } ;;
    -*) olds[last]+=${line#-}$'\n' ;;
    +*) news[last]+=${line#+}$'\n' ;;
    *) [ "$last" -lt 0 ] || [ -z "$line" ] || fail "list.txt: what is this? $line" ;;
  esac
done <tests/feared/list.txt

# ---- a changed header for each ----------------------------------------------------------------------------------------

chosen=()
stale=false
rm -rf "$build/include"
mkdir -p "$build"
: >"$build/bugs.txt"
for n in "${!names[@]}"; do
  [[ ${names[n]} =~ $pattern ]] || continue
  chosen+=("$n")
  header=include/btreemapped/${headers[n]}
  text=$(cat "$header" && echo .)
  text=${text%.}
  rest=${text#*"${olds[n]}"}
  if [ "$rest" = "$text" ] || [ "${rest#*"${olds[n]}"}" != "$rest" ] || [ ! -f "tests/${sources[n]}" ]; then
    echo "feared: ${names[n]}: not once in $header, or no tests/${sources[n]}" >&2
    stale=true
    continue
  fi
  mkdir -p "$build/include/$n/btreemapped/$(dirname "${headers[n]}")"
  printf '%s' "${text%%"${olds[n]}"*}${news[n]}$rest" >"$build/include/$n/btreemapped/${headers[n]}"
  echo "$n ${sources[n]}" >>"$build/bugs.txt"
done
cut -d ' ' -f 2 "$build/bugs.txt" | sort -u | awk '{ print "good_" NR, $0 }' >"$build/good.txt"
cat "$build/good.txt" >>"$build/bugs.txt"
! $stale || fail "the list is out of date"
[ "${#chosen[@]}" -gt 0 ] || fail "none matches $pattern"

# ---- build, run, judge ------------------------------------------------------------------------------------------------

cmake --preset feared >"$build/configure.log" 2>&1 || {
  cat "$build/configure.log" >&2
  exit 1
}
cmake --build --preset feared >"$build/build.log" 2>&1 || {
  grep -E 'error|FAILED' "$build/build.log" | head -n 20 >&2
  fail "a bug does not compile, and so proves nothing (see build/feared/build.log)"
}
for n in "${chosen[@]}"; do
  case ${sources[n]} in unit/*) continue ;; esac
  tests/support/postgres.sh start "$state" >/dev/null
  trap 'tests/support/postgres.sh remove "$state"' EXIT
  break
done
export BTREEMAPPED_TEST_STATE=$state

# passes PROGRAM LOG TEST: Catch2 separates names by commas.
passes() { timeout 120 "$build/tests/feared/btreemapped_feared_$1" "${3//,/\\,}" >"$build/$2.log" 2>&1; }

survivors=0
for n in "${chosen[@]}"; do
  good=$(awk -v source="${sources[n]}" '$2 == source { print $1 }' "$build/good.txt")
  if ! passes "$good" "$n-good" "${tests[n]}"; then # also when there is no such test
    result="FAILS ANYWAY"
  elif passes "$n" "$n" "${tests[n]}"; then
    result="SURVIVES"
  else
    result="caught"
  fi
  [ "$result" = caught ] || survivors=$((survivors + 1))
  printf '%-12s %s\n%-12s   %s: %s\n' "$result" "${names[n]}" '' "${sources[n]}" "${tests[n]}"
done
echo "$((${#chosen[@]} - survivors)) of ${#chosen[@]} feared bugs are caught"
[ "$survivors" -eq 0 ]
