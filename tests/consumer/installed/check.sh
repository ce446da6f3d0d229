#!/usr/bin/env bash
# check.sh CMAKE BUILD SCRATCH FLAG...: installs BUILD into a prefix, moves the prefix, and builds and runs a project that
# finds it there. Versions of another minor number must be refused.
set -eu

cmake=$1
build=$2
scratch=$3
shift 3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

rm -rf "$scratch"
mkdir -p "$scratch"
"$cmake" --install "$build" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/prefix" # a package must not know where it was installed first

configure() { # configure VERSION FLAG...
  local version=$1
  shift
  "$cmake" -G Ninja -S "$here" -B "$scratch/build" -Dbtreemapped_ROOT="$scratch/prefix" -DWANTED_VERSION="$version" "$@"
}

version=$(sed -n 's/^set(PACKAGE_VERSION "\(.*\)")$/\1/p' \
  "$scratch/prefix/share/cmake/btreemapped/btreemapped-config-version.cmake")
[ -n "$version" ]

configure "${version%.*}" "$@"
"$cmake" --build "$scratch/build"
"$scratch/build/consumer"

major=${version%%.*}
minor=${version#*.}
minor=${minor%%.*}
for wrong in "$major.$((minor + 1))" "$((major + 1)).0"; do
  rm -rf "$scratch/build"
  if output=$(configure "$wrong" "$@" 2>&1); then
    echo "version $version was taken for $wrong" >&2
    exit 1
  fi
  grep -q "compatible with requested version" <<<"$output" || { echo "$output" && exit 1; }
done
! grep -rF "$build" "$scratch/prefix/share" || { echo "the package names the build folder" >&2 && exit 1; }
