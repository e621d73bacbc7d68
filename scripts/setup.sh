#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing to build, run and test Sluice, and says first what that is.
#
#   scripts/setup.sh [--list] GROUP...     GROUP: build, run, test, bench
#
# Debian packages need root; without it the script installs nothing and names what is missing and
# what will be left out. What does not come from Debian goes into build/deps: Apache Kafka from
# Maven Central (tests/lib/kafka/pom.xml), clients from PyPI, the Go module proxy and npm, all
# pinned (tests/clients), with a Go and a Node.js from PyPI if the machine's are too old. Everything
# is made beside its place and renamed, so an interrupted run leaves nothing half done; a second run
# finds everything there and is silent.
#
# Exit: 0 all there; 3 something is missing that only root can install but the build can do
# without; 1 otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

deps=build/deps
kafka_versions=${SLT_KAFKA_VERSIONS:-3.9.1 4.1.1}
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# One package a word; a|b: either will do, the first is installed; a@COMMAND: not needed if the
# command exists.
packages_build='
	gcc@gcc libc6-dev make@make clang meson ninja-build pkg-config|pkgconf libdpdk-dev
	liburing-dev libisal-dev liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev libfyaml-dev
	libmicrohttpd-dev libjansson-dev libcmocka-dev libxdp-dev libbpf-dev libmnl-dev
	linux-libc-dev python3-minimal|python3 librdkafka-dev libmosquitto-dev mosquitto-dev'
packages_run='iproute2 kcat bsdutils python3 mosquitto mosquitto-clients'
packages_test='
	openjdk-17-jdk-headless@javac maven@mvn python3-venv libclang-rt-14-dev clang-format bpftool
	e2fsprogs mount util-linux ca-certificates'
packages_bench=''

say() { printf 'setup: %s\n' "$*"; }

usage() {
	sed -n '3,18s/^# \{0,1\}//p' "$0"
	exit 2
}

installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

java_new_enough() {
	local v
	v=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p' | head -1)
	[ "${v:-0}" -ge 17 ]
}

# Prints the package to install for one word, or nothing if it is not needed.
wanted() {
	local word=$1 alternatives command=''
	case $word in *@*) command=${word#*@} word=${word%@*} ;; esac
	if [ "$command" = javac ]; then
		java_new_enough && return 0
	elif [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then
		return 0
	fi
	IFS='|' read -ra alternatives <<<"$word"
	for p in "${alternatives[@]}"; do
		if installed "$p"; then return 0; fi
	done
	printf '%s\n' "${alternatives[0]}"
}

missing_of() {
	local var=packages_$1 word
	for word in ${!var}; do wanted "$word"; done
}

# retry SECONDS COMMAND...: three tries with a limit each.
retry() {
	local limit=$1 try
	shift
	for try in 1 2 3; do
		timeout -k 10 "$limit" "$@" && return 0
		say "try $try of 3 failed: $*" >&2
		sleep $((try * 3))
	done
	return 1
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	local apt=(apt-get -q -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=300)
	retry 300 "${apt[@]}" update
	retry 1500 "${apt[@]}" install -y --no-install-recommends "$@"
}

fetch_kafka() {
	local version=$1 dir=$deps/kafka-$1 tmp
	tmp=$(mktemp -d "$deps/.kafka.XXXXXX")
	if ! retry 600 mvn -q -B -Dstyle.color=never -f tests/lib/kafka/pom.xml "-Dkafka.version=$version" \
		dependency:copy-dependencies "-DoutputDirectory=$PWD/$tmp/jars" </dev/null; then
		rm -rf "$tmp"
		return 1
	fi
	chmod 755 "$tmp/jars"
	mv -T "$tmp/jars" "$dir"
	rmdir "$tmp"
}

# shellcheck source=tests/clients/setup.sh
. tests/clients/setup.sh

# Whoever uses these makes network namespaces: without root they would be fetched for nothing.
setup_test() {
	local version
	if [ "$(id -u)" -ne 0 ]; then
		left_out+=("tests with Apache Kafka's own tools and other Kafka clients, and their downloads: they need root")
		return
	fi
	mkdir -p "$deps"
	for version in $kafka_versions; do
		[ -d "$deps/kafka-$version" ] && continue
		if ! command -v mvn >/dev/null; then
			left_out+=("tests with Apache Kafka's own tools: maven is missing")
			continue
		fi
		say "fetching Apache Kafka $version with its tools from Maven Central into $deps/kafka-$version (about 60 MB)"
		fetch_kafka "$version"
	done
	setup_clients
}

list_only=no
groups=()
for arg in "$@"; do
	case $arg in
	--list) list_only=yes ;;
	build | run | test | bench) groups+=("$arg") ;;
	*) usage ;;
	esac
done
[ ${#groups[@]} -gt 0 ] || usage

declare -A lacking
missing=()
for g in "${groups[@]}"; do
	lacking[$g]=$(missing_of "$g" | tr '\n' ' ')
	missing+=(${lacking[$g]})
done

left_out=()
if [ ${#missing[@]} -gt 0 ]; then
	mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
	if [ $list_only = yes ]; then
		printf '%s\n' "${missing[@]}"
		exit 0
	fi
	if ! command -v apt-get >/dev/null; then
		say "this is not a Debian system; install what corresponds to: ${missing[*]}"
		exit 1
	elif [ "$(id -u)" -eq 0 ]; then
		say "about to install ${#missing[@]} Debian packages: ${missing[*]}"
		install_packages "${missing[@]}"
	else
		say "missing, and only root can install it: apt-get install ${missing[*]}"
		if [ -n "${lacking[build]:-}" ]; then
			say "cannot build without: ${lacking[build]}"
			exit 1
		fi
		for g in run test bench; do
			[ -z "${lacking[$g]:-}" ] || left_out+=("what needs these ($g): ${lacking[$g]}")
		done
	fi
fi
[ $list_only = no ] || exit 0

for g in "${groups[@]}"; do
	case $g in
	test) setup_test ;;
	bench) [ ! -x tests/bench/setup.sh ] || tests/bench/setup.sh ;;
	esac
done

if [ ${#left_out[@]} -gt 0 ]; then
	for reason in "${left_out[@]}"; do say "left out: $reason"; done
	exit 3
fi
