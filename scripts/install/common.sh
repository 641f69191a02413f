# Shared by the install scripts: apt packages once, a place for everything that is fetched, progress for people.
# Sourced, not run. Needs bash; sets CALF_DEPS.

# What was fetched is kept outside the checkout and outside /root, so that a fresh clone reuses it and the unprivileged
# user that runs the reference server can read it.
if [ -z "${CALF_DEPS:-}" ]; then
  if [ "$(id -u)" = 0 ]; then CALF_DEPS=/var/cache/calf; else CALF_DEPS="${XDG_CACHE_HOME:-$HOME/.cache}/calf"; fi
fi
export CALF_DEPS
mkdir -p "$CALF_DEPS"

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1; then sudo "$@"
  else fail "needs root or sudo for: $*"; fi
}

# apt_install PACKAGE…: installs what is missing, in one go. Asks dpkg only, so it is quick when nothing is missing.
apt_install() {
  local missing=() package known
  # dpkg-query fails when it has never heard of a package.
  known=$({ dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "$@" 2>/dev/null || true; } | awk '$2 ~ /^ii/ {print $1}')
  for package in "$@"; do grep -qx -- "$package" <<<"$known" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  say "installing ${#missing[@]} packages: ${missing[*]}"
  local options=(-y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "${missing[@]}" >&2 && return 0
  say "package lists may be old: updating them and trying again"
  as_root apt-get update -q -o Acquire::Retries=3 >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "${missing[@]}" >&2 ||
    fail "apt-get could not install: ${missing[*]}"
}

# once DIRECTORY COMMAND…: runs the command with a fresh directory beside as $1 and moves it into place when all went
# well. A directory that is there is complete: an interrupted installation leaves nothing that looks finished.
once() {
  local target=$1; shift
  [ -d "$target" ] && return 0
  mkdir -p "$(dirname "$target")"
  local fresh="$target.$$"
  rm -rf "$fresh"; mkdir -p "$fresh"
  if "$@" "$fresh"; then
    mv -T "$fresh" "$target" 2>/dev/null || { [ -d "$target" ] && rm -rf "$fresh"; }
  else
    rm -rf "$fresh"; fail "could not make $target"
  fi
}

hash_of() { cat "$@" | sha256sum | cut -c1-12; }
