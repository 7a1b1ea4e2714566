#!/usr/bin/env bash
# Real Postgres 18 with pgvector and real Redis for the tests, in a private prefix under .cache/services:
# Debian packages unpacked there (own loader, own libraries), nothing on the system changes but a browser for
# the pages that people see, which root installs. Idempotent.
#   eval "$(bash scripts/dev-services.sh start)" && npm test     # prints TEST_DATABASE_URL …
#   bash scripts/dev-services.sh stop
# What cannot be had here (no Debian, no network) is left out with a line on stderr.
# Settings: DEV_SERVICES_HOME, DEV_POSTGRES_PORT, DEV_REDIS_PORT, DEV_DEBIAN_MIRROR.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=${DEV_SERVICES_HOME:-$repository/.cache/services}
postgres_port=${DEV_POSTGRES_PORT:-54418}
redis_port=${DEV_REDIS_PORT:-56479}
postgres_version=18
postgres_suite=forky # the first Debian whose pgvector has the fixes that `doctor` asks for
postgres_root=$home/postgres
postgres_bin=$postgres_root/usr/lib/postgresql/$postgres_version/bin
postgres_data=$home/postgres-data
redis_root=$home/redis
redis_data=$home/redis-data
export LC_ALL=C.UTF-8

# Postgres refuses to run as root.
unprivileged() {
  if [ "$(id -u)" != 0 ]; then "$@"; return; fi
  local user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
}

# The mirror that this machine already uses.
mirror() {
  grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
    tr -d ' ' | head -1
}

# fetch DIRECTORY SUITE PACKAGE EXCLUDE: downloads a package with all it needs, against an empty package
# status, and unpacks it. Packages that match EXCLUDE are what a server run by hand never loads.
fetch() {
  local directory=$1 suite=$2 package=$3 exclude=$4
  local state=$directory.apt
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/debs" "$directory.new"
  : >"$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEV_DEBIAN_MIRROR:-$(mirror)} $suite main" \
    >"$state/sources.list"
  local apt=(apt-get -qq -o "Dir::State=$state" -o "Dir::State::status=$state/status"
    -o "Dir::Cache=$state/cache" -o "Dir::Etc::SourceList=$state/sources.list"
    -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o APT::Install-Recommends=0 -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Retries=3)
  "${apt[@]}" update
  (
    cd "$state/debs"
    "${apt[@]}" install -s "$package" | awk '/^Inst/{print $2}' | grep -vE "$exclude" |
      xargs "${apt[@]}" download
    mkdir -p "$state/patchelf" && cd "$state/patchelf"
    "${apt[@]}" download patchelf libstdc++6 libgcc-s1
  )
  local deb
  for deb in "$state"/debs/*.deb; do dpkg-deb -x "$deb" "$directory.new"; done
  for deb in "$state"/patchelf/*.deb; do dpkg-deb -x "$deb" "$state/patchelf"; done
}

# own_loader ROOT BINARY…: the unpacked C library serves the unpacked programs, children included.
# patchelf comes from the same Debian and therefore runs on that library as well.
own_loader() {
  local root=$1 tools=$1.apt/patchelf libraries loader binary
  shift
  libraries=$(dirname "$(find "$root.new/usr/lib" -name libc.so.6)")
  loader=$(find "$libraries/" -name 'ld-linux*.so.*' | head -1)
  for binary in "$@"; do
    [ "$(head -c 4 "$binary" | tail -c 3)" = ELF ] || continue
    "$loader" --library-path "$libraries:$tools/usr/lib/$(basename "$libraries")" "$tools/usr/bin/patchelf" \
      --set-interpreter "${loader/$root.new/$root}" --force-rpath \
      --set-rpath "${libraries/$root.new/$root}" "$binary"
  done
}

# finish ROOT: the prefix appears complete or not at all.
finish() {
  rm -rf "$1" "$1.apt" && mv "$1.new" "$1"
}

install_postgres() {
  [ -x "$postgres_bin/postgres" ] && return
  rm -rf "$postgres_root.new"
  fetch "$postgres_root" "$postgres_suite" "postgresql-$postgres_version-pgvector" \
    '^(perl|libperl|libllvm|libz3|locales|libc-l10n|libc-bin|debconf|postgresql.*-common|libjson-perl|lib.*-perl|adduser|passwd|base-|login|init-system|sysvinit|procps|ucf|ssl-cert|netbase|libpam-modules|sensible|openssl|gcc-14|readline-common)'
  own_loader "$postgres_root" "$postgres_root.new/usr/lib/postgresql/$postgres_version/bin"/*
  finish "$postgres_root"
}

start_postgres() {
  # The unprivileged user has to reach the prefix; its parents are not ours to change.
  chmod a+rx "$home"
  if (cd / && unprivileged "$postgres_bin/pg_ctl" -D "$postgres_data" status) >/dev/null 2>&1; then return; fi
  if [ ! -e "$postgres_data/PG_VERSION" ]; then
    mkdir -p "$postgres_data"
    [ "$(id -u)" != 0 ] || chown "$(id -u postgres 2>/dev/null || id -u nobody)" "$postgres_data"
    (cd / && unprivileged "$postgres_bin/initdb" -D "$postgres_data" -U postgres -A trust -E UTF8 \
      --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C.UTF-8) >/dev/null
  fi
  (cd / && unprivileged "$postgres_bin/pg_ctl" -D "$postgres_data" -l "$postgres_data/server.log" -w -t 60 \
    -o "-p $postgres_port -k $postgres_data -c listen_addresses=127.0.0.1 -c jit=off -c max_connections=200" \
    start) >/dev/null
}

# A Redis of the system serves as well; else redis-server is redis-check-rdb under another name (argv[0]).
redis() {
  if command -v "$1" >/dev/null; then "$@"; else "$redis_root/usr/bin/$1" "${@:2}"; fi
}

install_redis() {
  command -v redis-server >/dev/null && return
  [ -x "$redis_root/usr/bin/redis-server" ] && return
  rm -rf "$redis_root.new"
  fetch "$redis_root" "$postgres_suite" redis-tools '^(adduser|passwd|perl|debconf|procps|libc-bin|gcc-14)'
  ln -sf redis-check-rdb "$redis_root.new/usr/bin/redis-server"
  own_loader "$redis_root" "$redis_root.new/usr/bin/redis-check-rdb" "$redis_root.new/usr/bin/redis-cli"
  finish "$redis_root"
}

# A browser with all that it loads is too much for a prefix of its own: it comes as apt installs it.
install_chromium() {
  command -v chromium >/dev/null && return
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core
}

redis_answers() {
  redis redis-cli -h 127.0.0.1 -p "$redis_port" ping 2>/dev/null | grep -q PONG
}

start_redis() {
  redis_answers && return
  mkdir -p "$redis_data"
  redis redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$redis_data" --save '' --appendonly no \
    --daemonize yes --pidfile "$redis_data/pid" --logfile "$redis_data/log" >/dev/null
  local attempt
  for attempt in $(seq 100); do
    redis_answers && return
    sleep 0.05
  done
  return 1
}

case ${1:-start} in
  start)
    mkdir -p "$home"
    # In a shell of its own, because `set -e` does not act inside a condition.
    if bash "${BASH_SOURCE[0]}" postgres >&2; then
      echo "export TEST_DATABASE_URL=postgres://postgres@127.0.0.1:$postgres_port/postgres"
    else
      echo 'Postgres could not be brought up here; its tests will be left out.' >&2
    fi
    if bash "${BASH_SOURCE[0]}" redis >&2; then
      echo "export TEST_REDIS_URL=redis://127.0.0.1:$redis_port"
    else
      echo 'Redis could not be brought up here; its tests will be left out.' >&2
    fi
    if bash "${BASH_SOURCE[0]}" chromium >&2; then
      echo "export TEST_CHROMIUM=$(command -v chromium)"
    else
      echo 'Chromium could not be installed here; its tests will be left out.' >&2
    fi
    ;;
  postgres)
    install_postgres
    start_postgres
    ;;
  chromium)
    install_chromium
    ;;
  redis)
    install_redis
    start_redis
    ;;
  stop)
    (cd / && unprivileged "$postgres_bin/pg_ctl" -D "$postgres_data" -m fast -w stop) >/dev/null 2>&1 || true
    redis redis-cli -h 127.0.0.1 -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true
    ;;
  *)
    echo "usage: $0 [start|stop|postgres|redis|chromium]" >&2
    exit 2
    ;;
esac
