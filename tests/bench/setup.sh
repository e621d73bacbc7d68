#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what `make bench` needs beside the build: fio, DPDK's testpmd, iproute2, ethtool and
# clang from Debian, and unpacks rsyslog and syslog-ng (which exclude each other as packages) into
# BUILD/deps/peers with the libraries that the system does not have. Says what it installs first;
# a second call does nothing.
#
#   tests/bench/setup.sh [BUILD]        BUILD: the build folder, default `build`
set -eu

build=${1:-build}
peers=$build/deps/peers
apt="fio dpdk iproute2 ethtool clang libbpf-dev meson ninja-build python3"
unpack="rsyslog libestr0 libfastjson4 liblognorm5 syslog-ng-core libivykis0 libjson-c5 libnet1
libwrap0 libpcre3 libjson-c5 libcap2"

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

missing=
for p in $apt; do
	installed "$p" || missing="$missing $p"
done
fetch=
if [ ! -x "$peers/usr/sbin/rsyslogd" ] || [ ! -x "$peers/usr/sbin/syslog-ng" ]; then
	for p in $unpack; do
		case $p in
		rsyslog | syslog-ng-core) fetch="$fetch $p" ;;
		*) installed "$p" || fetch="$fetch $p" ;;
		esac
	done
fi
[ -z "$missing$fetch" ] && exit 0

[ -n "$missing" ] && echo "bench: installing with apt-get:$missing"
[ -n "$fetch" ] && echo "bench: unpacking into $peers (not installing):$fetch"
if [ "$(id -u)" != 0 ] && [ -n "$missing" ]; then
	echo "bench: not root: install them yourself, then call this again" >&2
	exit 1
fi
updated=
update() {
	[ -n "$updated" ] || apt-get -qq update
	updated=1
}
if [ -n "$missing" ]; then
	update
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi
if [ -n "$fetch" ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$peers"
	[ "$(id -u)" = 0 ] && update
	for p in $fetch; do
		# Not every release has every library: what is really missing shows below.
		(cd "$tmp" && apt-get -qq download -o APT::Sandbox::User=root "$p" 2>/dev/null) ||
			echo "bench: $p: not in this Debian, left out"
	done
	for d in "$tmp"/*.deb; do
		dpkg -x "$d" "$peers"
	done
fi

arch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -dumpmachine)
libs=$peers/usr/lib/$arch:$peers/lib/$arch:$peers/usr/lib/syslog-ng
for b in rsyslogd syslog-ng; do
	if LD_LIBRARY_PATH=$libs ldd "$peers/usr/sbin/$b" | grep 'not found'; then
		echo "bench: $b lacks a library; its rows will say so" >&2
	fi
done
