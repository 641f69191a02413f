#!/usr/bin/env bash
# Installs what building Calf needs on Debian 12: compilers, libraries, wabt, and the tools of `make demo`.
# Idempotent; under a second when everything is there. Run as root or with sudo at hand.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(
  ca-certificates git make ninja-build cmake ccache pkg-config
  clang-19 lld-19 llvm-19 libclang-rt-19-dev clang-format-19 clang-tidy-19 binutils libc6-dev libstdc++-12-dev
  libboost1.81-dev libboost-context1.81-dev libexpected-dev libssl-dev libzstd-dev libxxhash-dev zlib1g-dev
  libspdlog-dev libcli11-dev nlohmann-json3-dev libgtest-dev libgmock-dev libbenchmark-dev
  libuv1-dev libcurl4-openssl-dev libpugixml-dev libyaml-cpp-dev
  libsqlite3-dev libpg-query-dev libprotobuf-c-dev libre2-dev
  wabt python3 xz-utils zstd openssl postgresql-client
)
# A newer Node from elsewhere (with its npm) is fine; Debian's otherwise.
command -v node >/dev/null 2>&1 || packages+=(nodejs)
command -v npm >/dev/null 2>&1 || packages+=(npm)

apt_install "${packages[@]}"
