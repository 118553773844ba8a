#!/bin/sh
# Writes nginx's whole configuration into EDGE_DIR, from the files beside this script and the
# environment; run nginx with: nginx -p "$EDGE_DIR" -c "$EDGE_DIR/nginx.conf"
#
#   EDGE_DIR              folder that nginx runs in                     /run/edge
#   EDGE_APPS             instances, name:httpPort:grpcPort, by blanks  app:8080:9090
#                         a name stands for all of its addresses
#   EDGE_WITHOUT          addresses of those that get nothing new       none
#   EDGE_LISTEN           address to listen on                          every address
#   EDGE_HTTPS_PORT       443
#   EDGE_HTTP_PORT        80
#   EDGE_STATUS_PORT      8081, on 127.0.0.1 only
#   EDGE_CERTIFICATE      PEM file, with its chain                      /run/secrets/certificate.pem
#   EDGE_CERTIFICATE_KEY  PEM file                                      /run/secrets/certificate.key
#   EDGE_RATE             requests a second of one address              100
#   EDGE_BURST            of them at once                               200
#   EDGE_CONNECTIONS      requests of one address under way             200
#   EDGE_CLIENT_TIMEOUT   seconds that a caller may pause within a request              15
#   EDGE_KEEPALIVE        seconds after which a caller's connection is asked to be made anew, 30
#   EDGE_REAL_IP_FROM     load balancers in front, whose x-forwarded-for is believed  none
#   EDGE_RESOLVER         name server, for ocsp                         none
#   EDGE_AUTHORITIES      PEM file of the authorities that ocsp's answers are checked with,
#                         /etc/ssl/certs/ca-certificates.crt
#   EDGE_MODULES          folder of nginx's modules, for brotli         /usr/lib/nginx/modules
#   EDGE_ENABLE           any of: admin reflection metrics traces ocsp brotli  none
#   EDGE_ACCESS_LOG       file of the access log                        /dev/stdout
#   EDGE_ERROR_LOG        file of the error log                         stderr
set -eu

source=$(cd "$(dirname "$0")" && pwd)
directory=${EDGE_DIR:-/run/edge}
enabled=" ${EDGE_ENABLE:-} "

fail() {
  echo "configure.sh: $1" >&2
  exit 1
}

# Writes NAME.generated.conf from standard input, in one step.
write() {
  cat >"$directory/$1.new"
  mv "$directory/$1.new" "$directory/$1.generated.conf"
}

is_enabled() {
  case $enabled in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# The IPv4 addresses of a name, but for those of EDGE_WITHOUT.
addresses_of() {
  case $1 in
    *[!0-9.]*) found=$(getent ahostsv4 "$1" | sed -n 's/ *STREAM.*//p' | sort -u) ;;
    *) found=$1 ;;
  esac
  for address in $found; do
    case " ${EDGE_WITHOUT:-} " in *" $address "*) ;; *) echo "$address" ;; esac
  done
}

# upstream NAME FIELD: FIELD is the place of the port in EDGE_APPS.
upstream() {
  echo "upstream $1 {"
  echo "  zone $1 128k;"
  echo "  least_conn;"
  for app in ${EDGE_APPS:-app:8080:9090}; do
    port=$(echo "$app" | cut -d : -f "$2")
    for address in $(addresses_of "${app%%:*}"); do
      # Out for five seconds after two failures in five seconds, then tried again.
      echo "  server $address:$port max_fails=2 fail_timeout=5s;"
    done
  done
  echo "  keepalive 64;"
  echo "}"
}

for name in $(echo "$enabled"); do
  [ "$name" = traces ] || [ -e "$source/hidden/$name.conf" ] || [ -e "$source/optional/$name.conf" ] ||
    fail "EDGE_ENABLE names $name, which is none of admin reflection metrics traces ocsp brotli"
done

mkdir -p "$directory/temporary" "$directory/acme" "$directory/hidden"
rm -f "$directory"/hidden/*.conf
cp "$source"/*.conf "$directory/"
for file in "$source"/hidden/*.conf; do
  name=$(basename "$file" .conf)
  is_enabled "$name" || cp "$file" "$directory/hidden/"
done

{
  echo "error_log ${EDGE_ERROR_LOG:-stderr} notice;"
  if is_enabled brotli; then
    echo "load_module ${EDGE_MODULES:-/usr/lib/nginx/modules}/ngx_http_brotli_filter_module.so;"
  fi
} | write main

{
  if is_enabled brotli; then cat "$source/optional/brotli.conf"; fi
  if is_enabled ocsp; then
    cat "$source/optional/ocsp.conf"
    echo "resolver ${EDGE_RESOLVER:?ocsp needs EDGE_RESOLVER};"
    echo "ssl_trusted_certificate ${EDGE_AUTHORITIES:-/etc/ssl/certs/ca-certificates.crt};"
  fi
} | write optional

if is_enabled traces; then echo "default yes;"; else echo "default no;"; fi | write traces

# The form that nginx understands before 1.25.1 and after.
for listen in ${EDGE_LISTEN:-0.0.0.0 [::]}; do
  echo "listen $listen:${EDGE_HTTPS_PORT:-443} ssl http2;"
done | write listen-https
for listen in ${EDGE_LISTEN:-0.0.0.0 [::]}; do
  echo "listen $listen:${EDGE_HTTP_PORT:-80};"
done | write listen-http
echo "listen 127.0.0.1:${EDGE_STATUS_PORT:-8081};" | write listen-status

write certificate <<END
ssl_certificate ${EDGE_CERTIFICATE:-/run/secrets/certificate.pem};
ssl_certificate_key ${EDGE_CERTIFICATE_KEY:-/run/secrets/certificate.key};
END

write limits <<END
limit_req_zone \$binary_remote_addr zone=edge_requests:10m rate=${EDGE_RATE:-100}r/s;
limit_req zone=edge_requests burst=${EDGE_BURST:-200} nodelay;
limit_conn_zone \$binary_remote_addr zone=edge_connections:10m;
limit_conn edge_connections ${EDGE_CONNECTIONS:-200};
keepalive_time ${EDGE_KEEPALIVE:-30}s;
client_header_timeout ${EDGE_CLIENT_TIMEOUT:-15}s;
client_body_timeout ${EDGE_CLIENT_TIMEOUT:-15}s;
END

{
  for proxy in ${EDGE_REAL_IP_FROM:-}; do echo "set_real_ip_from $proxy;"; done
  echo "real_ip_header X-Forwarded-For;"
  echo "real_ip_recursive on;"
} | write real-ip

{
  upstream tribe_http 2
  upstream tribe_grpc 3
} | write upstreams
grep -q ' server ' "$directory/upstreams.generated.conf" ||
  fail "EDGE_APPS (${EDGE_APPS:-app:8080:9090}) has no address"

echo "access_log ${EDGE_ACCESS_LOG:-/dev/stdout} edge;" | write log
printf 'return 200 "%s";\n' "$(date +%s%N)" | write generation
