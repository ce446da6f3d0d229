#!/usr/bin/env bash
# expect_diagnostic.sh SOURCE COMPILER FLAG...: the compiler must refuse SOURCE and say what its comment line
# "// expect: REGEX" asks for ("// expect-clang: REGEX" where Clang says it differently); "// expect: success" makes it a
# control that must compile.
set -eu

source=$1
compiler=$2
shift 2

expected=$(sed -n 's|^// expect: ||p' "$source" | head -n 1)
no_caret=-fno-diagnostics-show-caret # a quoted source line is no diagnosis
if "$compiler" --version | grep -q clang; then
  other=$(sed -n 's|^// expect-clang: ||p' "$source" | head -n 1)
  expected=${other:-$expected}
  no_caret=-fno-caret-diagnostics
fi
if [ -z "$expected" ]; then
  echo "$source has no line '// expect: REGEX'" >&2
  exit 1
fi

status=0
output=$(LC_ALL=C "$compiler" "$@" -fsyntax-only -fmessage-length=0 "$no_caret" "$source" 2>&1) || status=$?

if [ "$expected" = success ]; then
  [ "$status" -eq 0 ] && exit 0
  echo "$output"
  echo "should have compiled: $source" >&2
  exit 1
fi
if [ "$status" -eq 0 ]; then
  echo "compiles, but should not: $source" >&2
  exit 1
fi
if ! grep -qE -e "$expected" <<<"$output"; then
  echo "$output"
  echo "is refused, but not with /$expected/: $source" >&2
  exit 1
fi
