#!/usr/bin/env bash
# Makes sure that the programs which the tests run are here: a container engine, kubectl, a C compiler.
# As root on Debian or Ubuntu it installs what is missing; elsewhere it names it, and the tests that need it are
# skipped with the same words (or fail, where CI is set).
set -euo pipefail

missing=()
command -v podman >/dev/null || command -v dockerd >/dev/null || missing+=(podman)
command -v runc >/dev/null || command -v crun >/dev/null || missing+=(runc)
command -v kubectl >/dev/null || missing+=(kubernetes-client)
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
((${#missing[@]})) || exit 0

if [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
  echo "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "missing: ${missing[*]}; install them (Debian's names) to run every test" >&2
fi
