#!/usr/bin/env bash
# Installs what `bench/run` needs: a C++ compiler with libpq, PostgreSQL 18's pgbench, native PostgreSQL 18, and PGlite
# with its socket server (npm). Idempotent.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"
root=$(cd "$here/../.." && pwd)
apt_install ca-certificates g++ libpq-dev pkg-config procps python3 unzip
"$here/test-deps.sh" --tools
"$here/native-postgres.sh"

pglite() {
  cp "$root/bench/pglite/package.json" "$root/bench/pglite/package-lock.json" "$1/" && (cd "$1" && npm ci --legacy-peer-deps --silent --no-audit --no-fund >&2)
}
pglite_hash=$(hash_of "$root/bench/pglite/package-lock.json")
[ -d "$CALF_DEPS/pglite-$pglite_hash" ] || say "PGlite and pglite-socket (npm)"
once "$CALF_DEPS/pglite-$pglite_hash" pglite
