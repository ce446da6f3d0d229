#!/usr/bin/env bash
# extract.sh README FOLDER: writes each block of the README that has a name, "```cpp reading", to FOLDER/reading.cpp.
set -eu

mkdir -p "$2"
awk -v folder="$2" '
  !/^```/ { if (file != "") print > file; next }
  inside { inside = 0; if (file != "") close(file); file = ""; next }
  { inside = 1 }
  NF == 2 { file = folder "/" $2 "." substr($1, 4); printf "" > file }' "$1"
