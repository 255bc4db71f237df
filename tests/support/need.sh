#!/usr/bin/env bash
# Makes sure that the programs which the tests run are here: a container engine, kubectl, curl, a C compiler, make,
# Java and Maven (for a real Kafka), RabbitMQ, PostgreSQL, Redis.
# As root on Debian or Ubuntu it installs what is missing; elsewhere it names it, and the tests that need it are
# skipped with the same words (or fail, where CI is set).
set -euo pipefail

has() { command -v "$1" >/dev/null; }
links_static() { has cc && echo 'int main(void) { return 0; }' | cc -static -x c -o /dev/null - 2>/dev/null; }

missing=()
has make || missing+=(make)
links_static || missing+=(gcc libc6-dev)
has java || missing+=(default-jre-headless)
has mvn || [[ -e ${XDG_CACHE_HOME:-$HOME/.cache}/pilotlight/kafka-4.1.0/complete ]] || missing+=(maven)
has curl || missing+=(curl)
has kubectl || missing+=(kubernetes-client)
"${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
has iptables || missing+=(iptables)
has ip || missing+=(iproute2)
if [[ -z ${DOCKER_HOST:-} ]]; then # else that engine is used
  has podman || missing+=(podman)
  # Debian's crun refuses cgroups that are not v2 alone.
  has runc || { has crun && [[ -f /sys/fs/cgroup/cgroup.controllers ]]; } || missing+=(runc)
fi
[[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || missing+=(rabbitmq-server)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
has redis-server || missing+=(redis-server)
((${#missing[@]})) || exit 0

if [[ $EUID == 0 ]] && has apt-get; then
  echo "installing ${missing[*]}"
  apt-get update -qq
  # In runlevel 1 no package starts its service: the tests start their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "missing: ${missing[*]}; install them (Debian's names) to run every test" >&2
fi
