#!/usr/bin/env bash
# includes.sh COMPILER FLAG...: the rooms of the library and their fences. Data flows down the list of rooms, includes
# point up it; a room's socket, thread or third-party header stays in that room.
set -eu

compiler=$1
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../../include"
failures=0
fail() {
  echo "$*" >&2
  failures=$((failures + 1))
}

# room HEADER: its number.
room() {
  case ${1#btreemapped/} in
    version.hpp | error.hpp | lsn.hpp | state.hpp | finding.hpp) echo 0 ;;
    detail/shape.hpp | detail/table_name.hpp | detail/fork.hpp) echo 0 ;;
    detail/wire/*.hpp) echo 1 ;;
    detail/reflect.hpp | codec.hpp | codec/*.hpp | detail/codec/*.hpp) echo 2 ;;
    bit_string.hpp | inet.hpp | interval.hpp | macaddr.hpp | money.hpp | numeric.hpp) echo 2 ;;
    time_of_day.hpp | timestamp.hpp | uuid.hpp) echo 2 ;;
    detail/order.hpp | table_traits.hpp | sql_range.hpp) echo 2 ;;
    row.hpp | detail/key_less.hpp | detail/probe.hpp | detail/column_map.hpp | detail/footprint.hpp) echo 3 ;;
    range.hpp | change.hpp | replica.hpp | read_guard.hpp | detail/table.hpp | detail/store.hpp) echo 4 ;;
    detail/typed_*.hpp | detail/row_*.hpp | detail/read_*.hpp) echo 4 ;;
    detail/key_search.hpp | detail/fault.hpp | detail/transaction.hpp | detail/change_log.hpp | detail/journal.hpp) echo 4 ;;
    detail/interrupt.hpp | detail/pq/*.hpp | detail/sql/*.hpp) echo 5 ;;
    options.hpp | status.hpp | barrier.hpp | verification.hpp | preflight.hpp | diagnosis.hpp | doctor.hpp) echo 6 ;;
    replicator.hpp | detail/loop/*.hpp) echo 6 ;;
    pqxx.hpp) echo 7 ;; # opt-in, for users who hold a libpqxx connection
    btreemapped.hpp) echo 8 ;;
    *) echo none ;;
  esac
}

includes() { sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]+)[>"].*/\1/p' "$1"; }

# allowed HEADER PATTERN: whether the header matches one of the shell patterns, separated by |.
allowed() {
  local pattern IFS='|'
  set -f
  for pattern in $2; do
    # shellcheck disable=SC2254 # it is a pattern
    case $1 in $pattern) set +f && return 0 ;; esac
  done
  set +f
  return 1
}

fence() { # fence HEADER INCLUDED INCLUDED-PATTERN WHERE-PATTERN
  # shellcheck disable=SC2254
  case $2 in $3) allowed "$1" "$4" || fail "$1: includes <$2>, which belongs to $4" ;; esac
}

headers=$(find . -name '*.hpp' | sed 's|^\./||' | sort)
for header in $headers; do
  mine=$(room "$header")
  if [ "$mine" = none ]; then
    fail "$header: is in no room; add it to the list in tests/house/includes.sh"
    continue
  fi
  for included in $(includes "$header"); do
    case $included in
      btreemapped.hpp) fail "$header: includes the umbrella" ;;
      btreemapped/*)
        [ -e "$included" ] || fail "$header: includes <$included>, which is not there"
        theirs=$(room "$included")
        [ "$theirs" != none ] || continue
        [ "$theirs" -le "$mine" ] || fail "$header: room $mine includes <$included> of room $theirs"
        if [ "$mine" -eq 5 ] && [ "$theirs" -gt 1 ] && [ "$theirs" -lt 5 ]; then
          fail "$header: room 5 includes <$included> of room $theirs; it may use rooms 0 and 1"
        fi
        ;;
    esac
    fence "$header" "$included" 'libpq-fe.h' 'btreemapped/detail/pq/*'
    fence "$header" "$included" 'libpq/*' 'btreemapped/detail/pq/*'
    fence "$header" "$included" 'pqxx/*' 'btreemapped/detail/sql/*|btreemapped/pqxx.hpp'
    fence "$header" "$included" 'boost/multiprecision/*' 'btreemapped/codec/multiprecision.hpp'
    fence "$header" "$included" 'boost/*' 'btreemapped/detail/reflect.hpp|btreemapped/codec/multiprecision.hpp'
    fence "$header" "$included" 'nlohmann/*' 'btreemapped/codec/nlohmann_json.hpp'
  done
  # Threads and locks live in the store and in the loop; Interrupt is how the loop wakes room 5.
  if [ "$mine" -ne 4 ] && [ "$mine" -lt 6 ] && [ "$header" != btreemapped/detail/interrupt.hpp ]; then
    for included in $(includes "$header"); do
      case $included in
        thread | mutex | shared_mutex | condition_variable | future | semaphore | latch | barrier)
          fail "$header: room $mine includes <$included>; threads and locks belong to rooms 4 and 6"
          ;;
      esac
    done
  fi
  lines=$(wc -l <"$header")
  [ "$lines" -le 400 ] || fail "$header: has $lines lines; split it"
  long=$(LC_ALL=C.UTF-8 grep -nE '^.{121}' "$header" | cut -d: -f1 | tr '\n' ' ')
  [ -z "$long" ] || fail "$header: longer than 120 characters: line $long"
  head -n 1 "$header" | grep -q '^#pragma once$' || fail "$header: does not begin with #pragma once"
done

# Code that only reads rows pays for neither client library, and nobody for what is opt-in.
for header in range.hpp row.hpp replica.hpp; do
  [ -e "btreemapped/$header" ] || continue
  if ! pulled=$("$compiler" "$@" -M -x c++ "btreemapped/$header" 2>&1); then
    fail "btreemapped/$header: $pulled"
    continue
  fi
  for library in libpq-fe.h pqxx/ boost/multiprecision/ nlohmann/; do
    ! grep -qF -e "$library" <<<"$pulled" || fail "btreemapped/$header: pulls in $library"
  done
done

[ "$failures" -eq 0 ] || exit 1
echo "$(wc -w <<<"$headers") headers keep to their rooms"
