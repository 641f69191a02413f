#!/usr/bin/env bash
# Compiles the client programs into $CALF_DEPS/clients/NAME-HASH, keyed by their sources: a second run does nothing.
# `build.sh` builds all, `build.sh go rust` those two. `build.sh --where NAME` prints the directory of one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../../scripts/install/common.sh"

place_of() {
  local sources
  sources=$(cd "$here/$1" && find . -type f -not -path './target/*' | sort | while read -r file; do echo "$file"; cat "$file"; done | sha256sum | cut -c1-12)
  echo "$CALF_DEPS/clients/$1-$sources"
}

build_libpq() { cc -O1 -Wall -o "$1/client" "$here/libpq/client.c" $(pkg-config --cflags --libs libpq) -lpthread; }
build_libpqxx() { c++ -std=c++17 -O1 -Wno-deprecated-declarations -o "$1/client" "$here/libpqxx/client.cc" $(pkg-config --cflags --libs libpqxx) -lpthread; }
build_go() { (cd "$here/go" && go build -mod=readonly -trimpath -o "$1/client" .); }
build_rust() {
  (cd "$here/rust" && cargo build --locked --quiet --target-dir "$CALF_DEPS/rust-target") && cp "$CALF_DEPS/rust-target/debug/calf-rust-client" "$1/client"
}
build_java() {
  (cd "$here/java" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$1/lib" -DincludeScope=runtime) &&
    javac -encoding UTF-8 -cp "$1/lib/*" -d "$1/classes" "$here"/java/src/main/java/*.java
}

if [ "${1:-}" = --where ]; then place_of "$2"; exit; fi
names=("$@")
[ $# -gt 0 ] || names=(libpq libpqxx go java rust)
for name in "${names[@]}"; do
  place=$(place_of "$name")
  [ -d "$place" ] && continue
  say "building the $name client"
  once "$place" "build_$name"
done
