#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing to build, run and test Sluice, and says first what that is.
#
#   scripts/setup.sh [--list] GROUP...     GROUP: build, run, central, test, bench
#
# Debian packages need root; without it the script installs nothing and names what is missing and
# what will be left out. What does not come from Debian goes into build/deps: Apache Kafka from
# Maven Central (tests/lib/kafka/pom.xml), clients from PyPI, the Go module proxy and npm, all
# pinned (tests/clients), with a Go and a Node.js from PyPI if the machine's are too old. Everything
# is made beside its place and renamed, so an interrupted run leaves nothing half done; a second run
# finds everything there and is silent.
#
# Debian starts a broker with the package mosquitto and with every boot. Nobody asked for that one
# here: it is kept from starting, and left disabled.
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
packages_run='iproute2 kcat bsdutils python3 mosquitto mosquitto-clients python3-paho-mqtt'
packages_central='openjdk-17-jre-headless@java maven@mvn ca-certificates python3'
packages_bench=$packages_central
packages_test='
	openjdk-17-jdk-headless@javac maven@mvn python3-venv libclang-rt-14-dev clang-format bpftool
	e2fsprogs mount util-linux ca-certificates'

say() { printf 'setup: %s\n' "$*"; }

usage() {
	sed -n '3,21s/^# \{0,1\}//p' "$0"
	exit 2
}

installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# java_new_enough COMMAND: java or javac; both say their version, in their own way.
java_new_enough() {
	local v
	v=$("$1" -version 2>&1 | sed -n 's/^\(javac\|[a-z]* version\) "\{0,1\}\([0-9]*\).*/\2/p' | head -1)
	[ "${v:-0}" -ge 17 ]
}

# Prints the package to install for one word, or nothing if it is not needed.
wanted() {
	local word=$1 alternatives command=''
	case $word in *@*) command=${word#*@} word=${word%@*} ;; esac
	if [ "$command" = javac ] || [ "$command" = java ]; then
		java_new_enough "$command" && return 0
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

# What dpkg asks before it starts a service. One that is there already is the administrator's, and
# stays in force; ours goes when this script ends.
policy=/usr/sbin/policy-rc.d
policy_mark='# sluice setup: mosquitto is installed, not started'

hold_mosquitto() {
	if [ -e $policy ] && ! grep -qxF "$policy_mark" $policy; then return; fi
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\n%s\ncase " $* " in *" mosquitto "* | *" mosquitto.service "*) exit 101 ;; esac\nexit 0\n' \
		"$policy_mark" >$policy
	chmod 755 $policy
}

disable_mosquitto() {
	if command -v systemctl >/dev/null; then
		systemctl --quiet disable mosquitto.service >/dev/null 2>&1 || true
	elif command -v update-rc.d >/dev/null; then
		update-rc.d mosquitto disable >/dev/null 2>&1 || true
	fi
	say "Debian's own mosquitto service was not started and is disabled; systemctl enable --now mosquitto starts it"
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	local apt=(apt-get -q -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=300) broker=no
	case " $* " in *' mosquitto '*) broker=yes ;; esac
	retry 300 "${apt[@]}" update
	[ $broker = no ] || hold_mosquitto
	retry 1500 "${apt[@]}" install -y --no-install-recommends "$@"
	[ $broker = no ] || disable_mosquitto
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

kafka_there() {
	local version
	for version in $kafka_versions; do [ ! -d "$deps/kafka-$version" ] || return 0; done
	return 1
}

# need_kafka VERSION
need_kafka() {
	[ ! -d "$deps/kafka-$1" ] || return 0
	if ! command -v mvn >/dev/null; then
		left_out+=("what uses Apache Kafka $1: maven is missing")
		return 0
	fi
	mkdir -p "$deps"
	say "fetching Apache Kafka $1 with its tools from Maven Central into $deps/kafka-$1 (about 60 MB)"
	fetch_kafka "$1"
}

# A central cluster of one node for the lab: any version that is there will do.
setup_central() { kafka_there || need_kafka "${kafka_versions##* }"; }

# Whoever uses these makes network namespaces: without root they would be fetched for nothing.
setup_test() {
	local version
	if [ "$(id -u)" -ne 0 ]; then
		left_out+=("tests with Apache Kafka's own tools and other Kafka clients, and their downloads: they need root")
		return
	fi
	mkdir -p "$deps"
	for version in $kafka_versions; do need_kafka "$version"; done
	setup_clients
}

list_only=no
groups=()
for arg in "$@"; do
	case $arg in
	--list) list_only=yes ;;
	build | run | central | test | bench) groups+=("$arg") ;;
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
		for g in run central test bench; do
			[ -z "${lacking[$g]:-}" ] || left_out+=("what needs these ($g): ${lacking[$g]}")
		done
	fi
fi
[ $list_only = no ] || exit 0

for g in "${groups[@]}"; do
	case $g in
	central) setup_central ;;
	test) setup_test ;;
	bench)
		need_kafka "${kafka_versions%% *}" # which slbench/kafka.py takes
		tests/bench/setup.sh
		;;
	esac
done

if [ ${#left_out[@]} -gt 0 ]; then
	for reason in "${left_out[@]}"; do say "left out: $reason"; done
	exit 3
fi
