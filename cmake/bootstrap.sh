#!/usr/bin/env bash
# Brings what the build needs: packages by the system's package manager; newer Boost.PFR and Catch2 headers, where the
# distribution's are too old, into build/deps (packages of the same vendor, from the machine's own mirrors).
#   cmake/bootstrap.sh         what tests and examples need
#   cmake/bootstrap.sh --ci    also clang, its sanitizers and libFuzzer, clang-tidy, clang-format, shellcheck and ccache
# Everything is detected by what is there, so a second call does nothing. CXX names another compiler than g++.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/build/deps
script=bootstrap
cxx=${CXX:-g++}
ci=false
for argument in "$@"; do
  case $argument in
    --ci) ci=true ;;
    *)
      echo "usage: cmake/bootstrap.sh [--ci]" >&2
      exit 2
      ;;
  esac
done

# shellcheck source=cmake/packages.sh
. "$root/cmake/packages.sh"

# ---- what is there -------------------------------------------------------------------------------------------------

# at_least HAVE WANT: compares dotted versions.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# preprocesses TEXT [FLAG...]: true when the compiler's preprocessor accepts it.
preprocesses() {
  local text=$1
  shift
  printf '%b\n' "$text" | "$cxx" -std=c++20 "$@" -x c++ -E -o /dev/null - 2>/dev/null
}

has_header() {
  local header=$1
  shift
  preprocesses "#if !__has_include(<$header>)\n#error\n#endif" "$@"
}

has_cmake() { have cmake && at_least "$(cmake --version | sed -n '1s/^cmake version //p')" 3.25; }
has_compiler() {
  have "$cxx" && preprocesses '#if !(defined(__clang__) ? __clang_major__ >= 14 : __GNUC__ >= 12)\n#error\n#endif'
}
has_libpq() {
  # shellcheck disable=SC2046 # several flags
  have pkg-config && pkg-config --exists libpq && has_header libpq-fe.h $(pkg-config --cflags libpq)
}
has_libpqxx() { has_header pqxx/pqxx; }
# Two opt-in headers of ours include these.
has_multiprecision() { has_header boost/multiprecision/cpp_dec_float.hpp; }
has_nlohmann_json() { has_header nlohmann/json.hpp; }
has_server() {
  local bindir
  if [ -n "${PG_BINDIR:-}" ]; then
    [ -x "$PG_BINDIR/initdb" ] || die "PG_BINDIR=$PG_BINDIR holds no initdb"
    return 0
  fi
  for bindir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(pg_config --bindir 2>/dev/null)"; do
    [ -x "$bindir/initdb" ] && [ -x "$bindir/pg_ctl" ] && return 0
  done
  return 1
}
has_pfr() { has_header boost/pfr/core_name.hpp "$@"; }
has_catch2() {
  local want='#if CATCH_VERSION_MAJOR * 100 + CATCH_VERSION_MINOR < 303\n#error\n#endif'
  preprocesses "#include <catch2/catch_version_macros.hpp>\n$want" "$@"
}

# ---- packages of the system ----------------------------------------------------------------------------------------

missing=()
need() {
  local check=$1
  shift
  "$check" || missing+=("$@")
}
need has_compiler g++
need has_cmake cmake
have ninja || missing+=(ninja-build)
have pkg-config || missing+=(pkg-config)
have openssl || missing+=(openssl) # certificates for a test
have psql || missing+=(postgresql-client)
need has_server postgresql
# The headers can only be looked for with a compiler; without one all of them are asked for.
need has_libpq libpq-dev
need has_libpqxx libpqxx-dev
need has_multiprecision libboost-dev
need has_nlohmann_json nlohmann-json3-dev
if $ci; then
  # Format and findings differ between versions: 19 is what Debian 12 and 13 both have.
  has_llvm19() { "$1-19" --version >/dev/null 2>&1 || "$1" --version 2>/dev/null | grep -q 'version 19\.'; }
  have ccache || missing+=(ccache)
  have shellcheck || missing+=(shellcheck)
  have clang++ || [ -n "$(compgen -c clang++-)" ] || missing+=(clang)
  has_llvm19 clang-format || missing+=(clang-format-19)
  has_llvm19 clang-tidy || missing+=(clang-tidy-19)
fi

if [ ${#missing[@]} -gt 0 ]; then
  install_packages "${missing[@]}"
  has_compiler || die "$cxx is not GCC 12 or later or Clang 14 or later; install one and name it by CXX"
  has_cmake || die "cmake is too old: 3.25 or later is needed"
  { has_libpq && has_libpqxx && has_multiprecision && has_nlohmann_json && has_server; } ||
    die "the packages are installed but their files are not found"
fi

if $ci; then
  # The Clang that cmake/clang.toolchain.cmake takes. Its sanitizers and libFuzzer come in a package of their own.
  clang='clang++'
  if ! have clang++; then clang=$(compgen -c clang++- | sort -V | uniq | head -n 1); fi
  fuzzes() {
    local program='extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
    "$clang" -fsanitize=fuzzer,address,undefined -x c++ -o /dev/null - <<<"$program" 2>/dev/null
  }
  if ! fuzzes; then
    major=$("$clang" -dumpversion | cut -d. -f1)
    install_packages "libclang-rt-$major-dev"
    fuzzes || die "$clang links no program with libFuzzer; install its runtime libraries"
  fi
fi

# ---- newer packages into the build tree ----------------------------------------------------------------------------

# fetch SUITE PACKAGE: downloads the package into $state/download. Signatures are checked by apt with the keys that the
# machine trusts; its proxy, certificates and credentials apply, its package database and lists stay as they are.
fetch() {
  local suite=$1 package=$2 options=(-q -o APT::Get::AllowUnauthenticated=false)
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/download"
  if [ "$(id -u)" -eq 0 ] && ! runuser -u _apt -- test -w "$state/download" 2>/dev/null; then
    # apt fetches as a user of its own, which cannot write here.
    options+=(-o APT::Sandbox::User=root)
  fi
  if [ "$suite" != own ]; then
    sources "$suite" "$state/sources.list.d"
    cat "$state"/sources.list.d/* | grep -q . || return
    : >"$state/status"
    options+=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$state/sources.list.d"
      -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
      -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
      -o "Dir::State::extended_states=$state/extended_states" -o "Dir::Cache=$state"
      -o "Dir::Cache::archives=$state/archives" -o Acquire::Languages=none
      -o Acquire::AllowInsecureRepositories=false -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
      -o Acquire::IndexTargets::deb::CNF::DefaultEnabled=false)
    apt-get "${options[@]}" update || true # a third party's source may lack the suite; the download tells
  fi
  (cd "$state/download" && apt-get "${options[@]}" download "$package")
}

# unpack NAME SUITE PACKAGE PATH...: puts these files of the package into build/deps/NAME; the suite "own" is what the
# machine's package manager offers.
unpack() {
  local name=$1 suite=$2 package=$3 path state=$deps/apt stage=$deps/$1.stage
  shift 3
  have apt-get && have dpkg || return
  if [ "$suite" = own ]; then apt-cache show "$package" >/dev/null 2>&1 || return; fi
  say "fetching $package of $suite into build/deps/$name"
  rm -rf "$state" "$stage"
  mkdir -p "$state" "$stage/all" "$stage/kept"
  if ! fetch "$suite" "$package" >"$deps/$name.log" 2>&1 ||
    ! dpkg -x "$state/download/$package"_*.deb "$stage/all"; then
    say "no $package of $suite (see build/deps/$name.log)"
    rm -rf "$state" "$stage"
    return 1
  fi
  for path in "$@"; do
    mkdir -p "$stage/kept/$(dirname "$path")"
    mv "$stage/all/$path" "$stage/kept/$path" || return
  done
  rm -rf "${deps:?}/$name"
  mv "$stage/kept" "$deps/$name"
  rm -rf "$state" "$stage" "$deps/$name.log"
}

pfr_ready() { has_pfr || has_pfr -I"$deps/boost/usr/include"; }
catch2_ready() { has_catch2 || has_catch2 -I"$deps/catch2/usr/include"; }

if ! pfr_ready || ! catch2_ready; then
  mkdir -p "$deps"
  if have flock; then # two calls at the same time: the second waits and finds the work done
    exec 9>"$deps/.lock"
    flock 9
  fi
  # shellcheck source=/dev/null
  distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-}")
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
  later=trixie
  [ "$distribution" != ubuntu ] || later=resolute
fi
# unpack_for READY NAME PACKAGE SUITE PATH...: from what the machine's package manager offers, else from SUITE.
unpack_for() {
  local ready=$1 name=$2 package=$3 suite=$4
  shift 4
  unpack "$name" own "$package" "$@" && "$ready" && return
  unpack "$name" "$suite" "$package" "$@" && "$ready"
}
if ! pfr_ready; then
  unpack_for pfr_ready boost libboost1.88-dev "$later" \
    usr/include/boost/pfr usr/include/boost/pfr.hpp usr/share/doc/libboost1.88-dev/copyright ||
    say "no boost/pfr/core_name.hpp on this system: CMake will fetch Boost.PFR"
fi
if ! catch2_ready; then
  unpack_for catch2_ready catch2 libcatch2-dev "$codename-backports" usr ||
    say "no Catch2 3.3 on this system: CMake will fetch it"
fi
