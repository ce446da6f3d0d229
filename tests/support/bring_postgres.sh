#!/usr/bin/env bash
# Brings the server of a PostgreSQL version, and prints what postgres.sh needs to find it, as a shell's assignment.
#   bring_postgres.sh VERSION
# A server of that version on this machine is taken as it is (PG_BINDIR=...). Else the Debian release that has it is
# unpacked by debootstrap into build/postgres-VERSION, a root folder for chroot (PG_ROOT=...); that needs root or sudo,
# and the machine's own apt sources must be Debian's. Such a server needs no mounts, listens on loopback like any other,
# and a second call finds it there. To be rid of it: rm -rf build/postgres-VERSION, as root.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=cmake/packages.sh
script=bring_postgres.sh && . "$root/cmake/packages.sh"

version=${1:-}
case $version in
  15) suite=bookworm ;;
  17) suite=trixie ;;
  18) suite=sid ;;
  *) die "PostgreSQL $version is none of those known here: 15 17 18" ;;
esac

for bindir in "${PG_BINDIR:-}" "/usr/lib/postgresql/$version/bin" "/usr/pgsql-$version/bin" \
  "$(pg_config --bindir 2>/dev/null)"; do
  case $("$bindir/postgres" --version 2>/dev/null) in
    *" $version."*)
      echo "PG_BINDIR=$bindir"
      exit
      ;;
  esac
done

may_be_root || die "no PostgreSQL $version on this machine; only root or sudo may run one in a root folder of its own"

jail=$root/build/postgres-$version
log=$jail.log
mkdir -p "$root/build"
if have flock; then # two calls at the same time: the second waits and finds the work done
  exec 9>"$jail.lock"
  flock 9
fi
if [ ! -e "$jail/usr/lib/postgresql/$version/bin/initdb" ]; then
  have debootstrap || PATH=$PATH:/usr/sbin
  have debootstrap || install_packages debootstrap
  # What apt would ask: its mirrors, by its proxy.
  if have apt-config && [ -z "${http_proxy:-}" ]; then
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    [ -z "${http_proxy:-}" ] || export http_proxy
    [ -z "${https_proxy:-}" ] || export https_proxy
  fi
  sources "$suite" "$jail.sources"
  mapfile -t mirrors < <(grep -hoE '[a-z]+://[^ ]+' "$jail.sources"/* | grep -v -- -security | uniq)
  rm -rf "$jail.sources"
  [ "${#mirrors[@]}" -gt 0 ] || die "no PostgreSQL $version here, and the apt sources name no mirror of Debian for it"
  say "unpacking PostgreSQL $version of Debian's $suite into build/postgres-$version (a minute)"
  for mirror in "${mirrors[@]}"; do
    as_root rm -rf "$jail.new"
    if as_root env ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
      "$(command -v debootstrap)" --variant=minbase --include="postgresql-$version" "$suite" "$jail.new" \
      "$mirror" >"$log" 2>&1; then
      break
    fi
  done
  if [ ! -x "$jail.new/usr/lib/postgresql/$version/bin/initdb" ]; then
    tail -n 5 "$log" >&2
    die "debootstrap failed (see build/postgres-$version.log)"
  fi
  as_root rm -rf "$jail.new/var/cache/apt/archives" "$jail.new/var/lib/apt/lists"
  as_root chmod 1777 "$jail.new/tmp" "$jail.new/dev/shm"
  as_root mv "$jail.new" "$jail"
  rm -f "$log"
fi
echo "PG_ROOT=$jail"
