#!/usr/bin/env bash
# A private PostgreSQL cluster in a temporary folder, on a free loopback port and a unix socket of its own.
#   postgres.sh start   [STATE] [--fresh] [--standby-of STATE] [-c NAME=VALUE]...
#                       makes the cluster if there is none (--fresh: in any case), starts it, prints its DSN. As a
#                       standby it is a copy of the other one, which runs, and streams from it by the slot
#                       standby_PORT, PORT being its own; from 17 on it keeps failover slots of the database postgres
#   postgres.sh promote [STATE]                      makes a primary of a standby
#   postgres.sh version                              prints the version that start would take, "17"
#   postgres.sh stop    [STATE] [--mode fast|immediate|smart]   stops it and keeps its data; start continues it
#   postgres.sh restart [STATE] [--mode ...]         stop and start: same data, same port
#   postgres.sh signal  [STATE] NAME [PID]           sends a signal to one of its processes; to KILL its postmaster returns
#                       when all the others have ended as well
#   postgres.sh dsn     [STATE] [--socket]           prints its DSN (a superuser, no password)
#   postgres.sh remove  [STATE]                      stops it and deletes all of it
# STATE is the folder that remembers the cluster, so that several can coexist: $BTREEMAPPED_PG_STATE, else
# build/postgres; $BTREEMAPPED_STATE_SUFFIX is put behind it, for runs beside each other. PG_BINDIR names the folder of
# another version's initdb and pg_ctl; PG_ROOT a root folder to enter by chroot, in which that version is installed
# (bring_postgres.sh makes both). Called by root, the server runs as an unprivileged user.
set -eu

fail() {
  echo "postgres.sh: $*" >&2
  exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
command=${1:-}
[ $# -eq 0 ] || shift
state=${BTREEMAPPED_PG_STATE:-$root/build/postgres}
mode=fast
socket=false
fresh=false
primary= # the state of whom it is a standby
settings=()
signal=
pid=
while [ $# -gt 0 ]; do
  case $1 in
    --mode) mode=${2:?} && shift ;;
    --socket) socket=true ;;
    --fresh) fresh=true ;;
    --standby-of) primary=${2:?} && shift ;;
    -c) settings+=("${2:?}") && shift ;;
    -*) fail "unknown option $1" ;;
    [A-Z]*[A-Z]) signal=$1 ;;
    [1-9]*[0-9]) pid=$1 ;;
    *) state=$1 ;;
  esac
  shift
done

# shellcheck source=cmake/packages.sh
script=postgres.sh && . "$root/cmake/packages.sh"

state=$state${BTREEMAPPED_STATE_SUFFIX:-}
primary=${primary:+$primary${BTREEMAPPED_STATE_SUFFIX:-}}

recall() { cat "$state/$1" 2>/dev/null || true; }
folder=$(recall folder) # holds data, socket and log; the server's user owns it
port=$(recall port)
jail=$(recall root) # the root folder of its server; there the folder is, and outside a link of the same name leads to it

bindir() {
  local candidate found=
  if [ -n "$jail" ]; then
    for candidate in "$jail"/usr/lib/postgresql/*/bin; do found=${candidate#"$jail"}; done
    echo "$found"
    return
  elif [ -n "${PG_BINDIR:-}" ]; then
    echo "$PG_BINDIR"
    return
  fi
  for candidate in "$(pg_config --bindir 2>/dev/null)" /usr/pgsql-*/bin /usr/lib/postgresql/*/bin; do
    if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ]; then found=$candidate; fi
  done
  [ -n "$found" ] || fail "no PostgreSQL server found: run cmake/bootstrap.sh or set PG_BINDIR"
  echo "$found"
}

# as_server COMMAND...: runs it as the user that owns the server's files.
as_server() {
  if [ -n "$jail" ]; then
    as_root chroot "$jail" runuser -u postgres -- "$@"
  elif [ "$(id -u)" -ne 0 ]; then
    "$@"
  elif id postgres >/dev/null 2>&1; then
    runuser -u postgres -- "$@"
  else
    runuser -u nobody -- "$@"
  fi
}

# in_folder COMMAND...: as_server, in its folder (a jail is entered at its root).
in_folder() {
  if [ -n "$jail" ]; then as_server "$@"; else (cd "$folder" && as_server "$@"); fi
}

# The postmaster's pid, if it is ours and runs: its working directory is our data folder.
running() {
  local pid
  [ -n "$folder" ] || return
  pid=$(as_server head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) || return
  if [ -d "/proc/$$" ] && [ -n "$jail" ]; then # there is no /proc in the jail; outside one needs its user's number
    [ "$(as_root setpriv --reuid="$(as_server id -u)" --regid="$(as_server id -g)" --clear-groups \
      stat -L -c %d:%i "/proc/$pid/cwd" 2>/dev/null)" = "$(as_server stat -c %d:%i "$folder/data")" ]
  elif [ -d "/proc/$$" ]; then
    [ "$(as_server readlink "/proc/$pid/cwd" 2>/dev/null)" = "$folder/data" ]
  else
    kill -0 "$pid" 2>/dev/null
  fi
}

print_dsn() {
  [ -n "$port" ] || fail "no cluster in $state"
  if $socket; then
    echo "host=$folder/socket port=$port user=postgres dbname=postgres"
  else
    echo "host=127.0.0.1 port=$port user=postgres dbname=postgres"
  fi
}

free_port() { # below the ports that systems hand out by themselves
  local candidate
  while true; do
    candidate=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

# A locale beside C, in which money, numbers and days look another way; few machines have one. Its sources come with the
# package that Debian's server depends on.
compile_locale() {
  in_folder localedef --no-archive --inputfile=de_DE --charmap=UTF-8 "$folder/locale/de_DE.UTF-8" \
    >"$state/locale.log" 2>&1 || {
    cat "$state/locale.log" >&2
    remove
    fail "localedef cannot make the locale de_DE: install the package locales"
  }
}

# A copy of the primary, which streams from it.
copy_primary() {
  local upstream
  upstream="host=127.0.0.1 port=$(cat "$primary/port") user=postgres"
  port=$(free_port)
  in_folder "$bin/pg_basebackup" --pgdata="$folder/data" --dbname="$upstream" --checkpoint=fast --no-sync \
    --create-slot --slot="standby_$port" >"$state/initdb.log" 2>&1 || return
  as_server touch "$folder/data/standby.signal"
  {
    echo "unix_socket_directories = '$folder/socket'"
    echo "primary_conninfo = '$upstream dbname=postgres'"
    echo "primary_slot_name = 'standby_$port'"
    echo "hot_standby_feedback = on"
    echo "wal_receiver_status_interval = 1s"
    echo "wal_retrieve_retry_interval = 200ms"
    [ "$(version)" -lt 17 ] || echo "sync_replication_slots = on"
    for setting in "${settings[@]}"; do echo "${setting%%=*} = '${setting#*=}'"; done
  } | as_server tee -a "$folder/data/postgresql.conf" >/dev/null
}

version() {
  local number
  number=$(as_server "$bin/postgres" --version)
  number=${number##*) }
  echo "${number%%[!0-9]*}"
}

create() {
  local setting
  [ -x "$jail$bin/initdb" ] || fail "no initdb in $jail$bin"
  mkdir -p "$state"
  if [ -n "$jail" ]; then
    folder=$(as_server mktemp -d /tmp/btreemapped-pg.XXXXXX)
    echo "$jail" >"$state/root"
    ln -s "$jail$folder" "$folder" # short enough for a socket's path
  else
    folder=$(as_server mktemp -d "${TMPDIR:-/tmp}/btreemapped-pg.XXXXXX")
  fi
  echo "$folder" >"$state/folder"
  echo "$bin" >"$state/bindir"
  as_server mkdir "$folder/socket" "$folder/locale"
  compile_locale
  if [ -n "$primary" ]; then
    copy_primary || {
      cat "$state/initdb.log" >&2
      remove
      fail "the primary cannot be copied"
    }
    return
  fi
  in_folder "$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C --no-sync >"$state/initdb.log" 2>&1 || {
    cat "$state/initdb.log" >&2
    remove
    fail "initdb failed"
  }
  {
    echo "listen_addresses = '127.0.0.1'"
    echo "unix_socket_directories = '$folder/socket'"
    echo "wal_level = logical"
    echo "wal_sender_timeout = 5s"
    echo "max_wal_senders = 40"
    echo "max_replication_slots = 40"
    echo "max_connections = 200"
    echo "max_prepared_transactions = 10"
    echo "fsync = off"
    echo "full_page_writes = off"
    echo "log_replication_commands = on"
    echo "log_line_prefix = '%m [%p] %q%a '"
    for setting in "${settings[@]}"; do echo "${setting%%=*} = '${setting#*=}'"; done
  } | as_server tee -a "$folder/data/postgresql.conf" >/dev/null
}

start() {
  local attempt attempts=1 bin
  if $fresh; then mode=immediate remove; fi
  bin=$(recall bindir)
  if running; then
    print_dsn
    return
  fi
  if [ -z "$folder" ] || ! as_server test -e "$folder/data/PG_VERSION" || [ -z "$port" ]; then
    remove
    if [ -n "$primary" ]; then
      jail=$(cat "$primary/root" 2>/dev/null || true)
      bin=$(cat "$primary/bindir")
    else
      jail=${PG_ROOT:-}
      bin=$(bindir)
    fi
    create
    [ -n "$primary" ] || attempts=5 # another process may take the free port first
  fi
  for attempt in $(seq "$attempts"); do
    [ "$attempts" -eq 1 ] || port=$(free_port)
    if in_folder env LOCPATH="$folder/locale:/usr/lib/locale" "$bin/pg_ctl" start --pgdata="$folder/data" --log="$folder/log" --wait --timeout=60 \
      --silent --options="-p $port" </dev/null >/dev/null 2>&1; then
      echo "$port" >"$state/port"
      print_dsn | tee "$state/dsn"
      return
    fi
  done
  as_server tail -n 20 "$folder/log" >&2 || true
  fail "the server did not start ($attempt attempt(s); log: $folder/log)"
}

stop() {
  running || return 0
  in_folder "$(recall bindir)/pg_ctl" stop --pgdata="$folder/data" --mode="$mode" --wait --timeout=60 \
    --silent >/dev/null || fail "the server did not stop (log: $folder/log)"
}

promote() {
  in_folder "$(recall bindir)/pg_ctl" promote --pgdata="$folder/data" --wait --timeout=60 --silent >/dev/null ||
    fail "the standby was not promoted (log: $folder/log)"
}

# Its processes, by their working directory, which is the data folder.
processes() {
  local process
  for process in /proc/[1-9]*; do
    [ "$(stat -L -c %d:%i "$process/cwd" 2>/dev/null)" != "$(stat -c %d:%i "$jail$folder/data")" ] || echo "${process#/proc/}"
  done
}

send_signal() {
  local each
  [ -n "$signal" ] || fail "which signal?"
  if [ -n "$pid" ]; then
    as_server kill -s "$signal" "$pid"
    return
  fi
  running || return 0
  as_server kill -s "$signal" "$(as_server head -n 1 "$folder/data/postmaster.pid")"
  [ "$signal" = KILL ] || return 0
  for _ in $(seq 100); do # they notice by themselves, unless they are stopped
    [ -n "$(processes)" ] || break
    sleep 0.05
  done
  for each in $(processes); do as_server kill -s KILL "$each" || true; done
  # Where nobody buries the dead its number seems to be in use.
  as_server rm -f "$folder/data/postmaster.pid" "$folder/socket/.s.PGSQL.$port" "$folder/socket/.s.PGSQL.$port.lock"
}

remove() {
  stop
  if [ -n "$folder" ]; then
    case $folder in
      */btreemapped-pg.*)
        [ ! -d "$jail$folder" ] || as_server rm -rf "$folder"
        [ ! -L "$folder" ] || rm -f "$folder"
        ;;
      *) fail "$state/folder does not name a folder of ours" ;;
    esac
  fi
  for file in folder port dsn bindir root initdb.log locale.log; do rm -f "$state/$file"; done
  rmdir "$state" 2>/dev/null || true
  folder=
  port=
  jail=
}

case $command in
  start) start ;;
  stop) stop ;;
  restart)
    stop
    start
    ;;
  promote) promote ;;
  version)
    jail=${PG_ROOT:-}
    bin=$(bindir)
    version
    ;;
  signal) send_signal ;;
  dsn) print_dsn ;;
  remove)
    mode=immediate
    remove
    ;;
  *)
    sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac
