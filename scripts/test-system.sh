#!/bin/sh
# Installs the system programs that tests drive: a real browser, nginx, strace, node, podman. Does nothing where they are there.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"; }
need chromium chromium
need nginx nginx-light
need strace strace
need node nodejs
need npm npm
need curl curl
need openssl openssl
need systemd-analyze systemd
need podman podman
need runc runc
need busybox busybox-static
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "Tests need these Debian packages: apt install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 - a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
