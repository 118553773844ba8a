#!/bin/sh
# Writes the configuration again (EDGE_WITHOUT=address leaves an instance out), checks it, and
# returns when all calls that begin get it; for `docker compose exec nginx /opt/edge/reload.sh`.
set -eu

directory=${EDGE_DIR:-/run/edge}
"$(dirname "$0")/configure.sh"
nginx -p "$directory" -c "$directory/nginx.conf" -t -q
nginx -p "$directory" -c "$directory/nginx.conf" -s reload

written=$(sed 's/[^0-9]*200 "\([0-9]*\).*/\1/' "$directory/generation.generated.conf")
tries=0
until [ "$(curl -fsS "http://127.0.0.1:${EDGE_STATUS_PORT:-8081}/generation")" = "$written" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || {
    echo "reload.sh: the new configuration is not in use after ten seconds" >&2
    exit 1
  }
  sleep 0.1
done

# A connection that was made meanwhile may be an old worker's, until it is EDGE_KEEPALIVE seconds old.
# Later, old workers have only streams that were begun before.
old_workers() {
  grep -l 'worker process is shutting[ ]down' /proc/[0-9]*/cmdline >/dev/null 2>&1
}
tries=0
while old_workers && [ "$tries" -lt $(((${EDGE_KEEPALIVE:-30} + 2) * 10)) ]; do
  tries=$((tries + 1))
  sleep 0.1
done
