#!/usr/bin/env bash
# correctness.sh: each test that tests/CORRECTNESS.md names is there, each of its rows names one, and the table shapes
# and schema changes of the README, with what happens to them, are those that it shows.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
document=tests/CORRECTNESS.md
failures=0
fail() {
  echo "$*" >&2
  failures=$((failures + 1))
}

# The test cases as ctest names them. A long name may be several literals.
names() {
  local source suite
  for source in $(find tests -mindepth 2 -name '*.cpp' | sort); do
    suite=$(cut -d/ -f2 <<<"$source")
    # shellcheck disable=SC2094 # nothing is written
    tr '\n' ' ' <"$source" | { grep -oE '(TEST_CASE|TEMPLATE_TEST_CASE)\( *("([^"\\]|\\.)*" *)+' || true; } |
      sed -E "s/^[^\"]*\"//; s/\" *$//; s/\" *\"//g; s/\\\\(.)/\1/g; s#^#$suite/#"
  done
}

# rows FILE HEADING: the first two cells of the first table behind the line HEADING, a line for each row.
rows() {
  awk -v heading="$2" -F ' \\| ' '
    $0 == heading { found = 1 }
    found && /^\|/ { inside = 1; sub(/ \|$/, ""); if (++line > 2) print substr($1, 3) " | " $2 }
    inside && !/^\|/ { exit }' "$1"
}

# shellcheck disable=SC2016 # it is a pattern
quoted='`[a-z]+/[^`]+`'
known=$(names)
named=$(grep -oE "$quoted" "$document" | tr -d '`' | sort -u)
while read -r name; do
  grep -qxF -e "$name" <<<"$known" || fail "$document: there is no test $name"
done <<<"$named"
while read -r row; do
  grep -qE "$quoted \|\$" <<<"$row" || fail "$document: no test shows: $row"
done < <(grep -E '^\| ([0-9]|[^ |])' "$document" | grep -v '^| The \(table\|change\) |')

# same_rows TABLE: the README and the page have the same rows under these headings.
same_rows() {
  local listed
  listed=$(rows README.md "### $1")
  [ -n "$listed" ] || fail "README.md: there is no table of $1"
  diff <(echo "$listed") <(rows "$document" "$(grep -m1 -i "The $1 of the README" "$document")") ||
    fail "$document: its $1 are not those of the README"
}
same_rows 'Table shapes'
same_rows 'Schema changes'

[ "$failures" -eq 0 ] || exit 1
echo "$(wc -l <<<"$named") tests are named, and all are there"
