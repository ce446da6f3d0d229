#!/usr/bin/env bash
# check.sh CMAKE SCRATCH FLAG...: builds and runs a project that adds our folder to its own.
set -eu

cmake=$1
scratch=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

rm -rf "$scratch"
"$cmake" -G Ninja -S "$here" -B "$scratch" "$@"
"$cmake" --build "$scratch" --target consumer
"$scratch/consumer"
