#!/bin/sh
# Start to first answer with a native server: NATIVE fresh|existing DIRECTORY PSQL. Runs as a user that is not root.
set -e
native=$1 kind=$2 directory=$3 psql=$4
data=$directory/data
if [ "$kind" = fresh ]; then
  data=$directory/fresh
  rm -rf "$data"
  "$native/bin/initdb" -D "$data" -U postgres -A trust --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions >/dev/null
fi
"$native/bin/postgres" -D "$data" -c listen_addresses= -c unix_socket_directories="$directory" -c fsync=off -c jit=off >/dev/null 2>&1 &
server=$!
until "$psql" -X -q -h "$directory" -U postgres -d postgres -c 'select 1' >/dev/null 2>&1; do sleep 0.002; done
kill -INT $server
wait $server
