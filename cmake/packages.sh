# shellcheck shell=bash
# What the scripts that bring packages share. Sourced by them; $script is what they call themselves.

say() { echo "${script:?}: $*" >&2; }
die() {
  say "$*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Whether there is a way to be root.
may_be_root() { [ "$(id -u)" -eq 0 ] || { have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; }

# as_root COMMAND...: runs it as root; without root and sudo prints $instead, and stops.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif may_be_root; then
    sudo "$@"
  else
    say "neither root nor sudo; run this as root, then call again:"
    echo "  ${instead:-$*}"
    exit 1
  fi
}

# install_packages PACKAGE...: by the system's package manager; the names are Debian's.
install_packages() {
  if ! have apt-get; then
    say "missing: $* (names of Debian's packages)"
    die "install them with this system's package manager, then call again"
  fi
  local instead="apt-get update && apt-get install -y --no-install-recommends $*"
  say "installing $*"
  as_root apt-get update -q >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2
}

# sources SUITE FOLDER: the machine's own apt sources for its own release, rewritten to name SUITE, in a new FOLDER.
sources() {
  local suite=$1 folder=$2 names file codename=
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  names=" $codename stable oldstable testing unstable sid "
  rm -rf "$folder"
  mkdir -p "$folder"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    # deb [options] uri suite component...
    awk -v names="$names" -v suite="$suite" '
      $1 == "deb" {
        at = 2
        options = ""
        if ($2 ~ /^\[/) {
          while (at < NF && $at !~ /\]$/) { options = options $at " "; ++at }
          options = options $at " "
          ++at
        }
        if ($at !~ /^cdrom:/ && index(names, " " $(at + 1) " ") && / main( |$)/) print "deb " options $at " " suite " main"
      }' "$file" >>"$folder/machine.list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    # Stanzas of fields; a field goes on in lines that start with a blank (a key may be spelled out in Signed-By).
    awk -v names="$names" -v suite="$suite" '
      function flush() {
        if (ours && main && !off) print text "Types: deb\nSuites: " suite "\nComponents: main\n"
        text = field = ""
        ours = main = off = 0
      }
      /^[ \t]*$/ { flush(); next }
      /^#/ { next }
      {
        if ($0 !~ /^[ \t]/) { field = tolower($0); sub(/:.*/, "", field) }
        if (field == "suites") {
          for (i = 1; i <= NF; ++i) if (index(names, " " $i " ")) ours = 1
        } else if (field == "enabled" && tolower($2) == "no") {
          off = 1
        } else if (field == "components") {
          if (/[ :\t]main([ \t]|$)/) main = 1
        } else if (field != "types") {
          text = text $0 "\n"
        }
      }
      END { flush() }' "$file" >>"$folder/machine.sources"
  done
}
