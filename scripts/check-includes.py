#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enforces who may include whom (docs/architecture.md): a star of folders.

    include/sluice <- platform/base, platform/record, platform/net
                   <- { storage, dataplane, bridge } <- platform/app

The three in the middle never include each other. An outside library is given to one folder: only
that one's meson.build names it and only its sources include it, but for those LENT lists with a
reason. Looks at the #include lines of every .c and .h and at dependency() of every meson.build;
prints file:line and the rule that is broken.

    check-includes.py [ROOT]      check the tree; exit 1 if a rule is broken
    check-includes.py --self-test check the checker
"""

import os
import re
import sys
import tempfile

INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
DEPENDENCY = re.compile(r"\bdependency\(\s*'([^']+)'")

BOTTOM = ("platform/base", "platform/record", "platform/net")

# Folder -> folders that it may include from, besides itself and include/sluice.
# The longest matching prefix of a file's folder decides.
MAY = {
    "include/sluice": (),
    "platform/base": (),
    "platform/record": ("platform/base",),
    "platform/net": ("platform/base",),
    "storage": BOTTOM,
    "dataplane": BOTTOM,
    "bridge/fake": BOTTOM,  # for tests
    "bridge/kafka": BOTTOM + ("bridge/fake",),
    "bridge/cursor": BOTTOM + ("bridge/fake",),
    "bridge/mqtt": BOTTOM + ("bridge/fake", "bridge/cursor"),
    "bridge/uplink": BOTTOM + ("bridge/fake", "bridge/cursor"),
    "platform/config": BOTTOM,
    "platform/control": BOTTOM,
    "platform/http": BOTTOM,
    "platform/host": BOTTOM + ("platform/config",),
    "platform/app": BOTTOM + ("storage", "dataplane", "bridge/kafka", "bridge/mqtt", "bridge/uplink",
                              "platform/config", "platform/control", "platform/http", "platform/host"),
    "platform/cli": BOTTOM + ("platform/config", "platform/control", "platform/host"),
    "platform/console": BOTTOM,
}

# Outside header (regular expression), the names that meson knows its library by -> its one folder.
OUTSIDE = (
    (r"rte_|generic/rte_", ("libdpdk",), "dataplane"),
    (r"xdp/|bpf/(?!bpf_helpers|bpf_endian)|linux/if_xdp\.h", ("libxdp", "libbpf"), "dataplane"),
    (r"libmnl/", ("libmnl",), "dataplane"),
    (r"liburing", ("liburing",), "storage"),
    (r"librdkafka/", ("rdkafka",), "bridge/uplink"),
    (r"mosquitto", ("libmosquitto",), "bridge/mqtt"),
    (r"(lz4|zstd|snappy|zlib|isa-l|crc)[a-z0-9_-]*(/|\.h$)", ("liblz4", "libzstd", "snappy", "zlib", "libisal"),
     "platform/record"),
    (r"openssl/|gsasl", ("openssl", "libgsasl"), "platform/net"),
    (r"libfyaml", ("libfyaml",), "platform/config"),
    (r"microhttpd", ("libmicrohttpd",), "platform/http"),
    (r"jansson", ("jansson",), "platform/control"),
)

# Header (as above), folder -> why it may include what another one owns. It links it through the
# owner's library and names no dependency of its own.
LENT = {
    (r"jansson", "platform/app"): "control.h speaks in json_t: the daemon's documents are made here",
    (r"jansson", "platform/cli"): "control.h speaks in json_t: the daemon's documents are read here",
}

# What the top meson.build finds for all: no library of the product's data path.
EVERYWHERE = ("threads", "cmocka")

# Checked only for being free of cycles into the product: they may include anything.
FREE = ("tests/", "lab/")


def folder_of(path):
    """The row of MAY that a file belongs to, or None."""
    best = None
    for folder in MAY:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def resolve(root, path, name):
    """The tree's own file that a quoted include names, relative to the root; None if it is foreign."""
    for base in (os.path.dirname(path), "", "include"):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    return None


def check_own(path, target):
    me, it = folder_of(path), folder_of(target)
    if it is None:
        return f"{target} belongs to no folder of the design"
    if it == me or it == "include/sluice" or it in MAY[me]:
        return None
    return f"{me} may not include {it}"


def check_outside(path, name, tests_too):
    me = folder_of(path)
    # A test may use what its subject's format is written with (a codec, a JSON reader).
    if tests_too and path.endswith(("_test.c", "_bench.c", "_fuzz.c")):
        return None
    for pattern, _, owner in OUTSIDE:
        if re.match(pattern, name) and me != owner and (pattern, me) not in LENT:
            return f"<{name}> is given to {owner}, not to {me}"
    return None


def check_file(root, path):
    """[(line, what is wrong)] of one file."""
    with open(os.path.join(root, path), "rb") as f:
        text = f.read()
    if path.startswith(FREE):
        return []
    if folder_of(path) is None:
        return [(1, "belongs to no folder of the design")]
    wrong = []
    for m in INCLUDE.finditer(text):
        line, name = text.count(b"\n", 0, m.start()) + 1, m.group(2).decode()
        target = resolve(root, path, name) if m.group(1) == b'"' else None
        if name.startswith("/") or ".." in name.split("/"):
            problem = f"{name}: name it from the root of the tree"
        elif target:
            problem = check_own(path, target)
        else:
            problem = check_outside(path, name, tests_too=True)
        if problem:
            wrong.append((line, problem))
    return wrong


def check_build(root, path):
    """[(line, what is wrong)] of one meson.build: it asks only for the libraries of its folder."""
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = f.read()
    if path.startswith(FREE):
        return []
    me, wrong = os.path.dirname(path) or "the top folder", []
    for m in DEPENDENCY.finditer(text):
        owners = [owner for _, names, owner in OUTSIDE if m[1] in names]
        problem = None
        if m[1] in EVERYWHERE:
            problem = None if path == "meson.build" else f"{m[1]} is found once, by the top meson.build"
        elif not owners:
            problem = f"library {m[1]} is given to no folder"
        elif me not in owners:
            problem = f"library {m[1]} is given to {owners[0]}, not to {me}"
        if problem:
            wrong.append((text.count("\n", 0, m.start()) + 1, problem))
    return wrong


def sources(root):
    for base, dirs, files in os.walk(root):
        rel = os.path.relpath(base, root)
        dirs[:] = sorted(d for d in dirs if not d.startswith((".", "build")) and d not in ("deps", "__pycache__"))
        for f in sorted(files):
            if f.endswith((".c", ".h")) or f == "meson.build":
                yield os.path.normpath(os.path.join(rel, f))


def check_tree(root):
    count, broken = 0, []
    for path in sources(root):
        count += 1
        check = check_build if os.path.basename(path) == "meson.build" else check_file
        broken += [f"{path}:{line}: {problem}" for line, problem in check(root, path)]
    return count, broken


SELF_TEST = (  # file, its text, part of the complaint or None
    ("include/sluice/base.h", "#include <stdint.h>\n", None),
    ("include/sluice/bad.h", "#include <rte_mbuf.h>\n", "given to dataplane"),
    ("platform/base/log.h", '#include "sluice/base.h"\n', None),
    ("platform/base/up.c", '#include "storage/segment.h"\n', "platform/base may not include storage"),
    ("platform/record/codec.c", "#include <lz4frame.h>\n#include <isa-l/crc.h>\n", None),
    ("storage/segment.h", '#include "platform/base/log.h"\n#include "sluice/base.h"\n', None),
    ("storage/io.c", '#include "segment.h"\n#include <liburing.h>\n', None),
    ("storage/lz.c", "\n  #  include <zstd.h>\n", "storage/lz.c:2: <zstd.h> is given to platform/record"),
    ("storage/seg_test.c", "#include <zlib.h>\n", None),
    ("dataplane/port.h", "#include <rte_ethdev.h>\n", None),
    ("dataplane/cross.c", '#include "storage/segment.h"\n', "dataplane may not include storage"),
    ("bridge/kafka/x.c", '#include "dataplane/port.h"\n', "bridge/kafka may not include dataplane"),
    ("bridge/kafka/y.c", '#include "../../dataplane/port.h"\n', "from the root"),
    ("platform/app/main.c", '#include "dataplane/port.h"\n#include "storage/segment.h"\n', None),
    ("platform/cli/main.c", '#include "platform/app/x.h"\n#include "storage/segment.h"\n', "may not include storage"),
    ("platform/app/status.c", "#include <jansson.h>\n", None),
    ("platform/http/http.c", "#include <jansson.h>\n", "<jansson.h> is given to platform/control"),
    ("platform/control/meson.build", "jansson = dependency('jansson')\n", None),
    ("platform/app/meson.build", "deps = [dependency('jansson')]\n", "library jansson is given to platform/control"),
    ("storage/meson.build", "x = 1\ndependency('libcurl')\n", "storage/meson.build:2: library libcurl is given to no"),
    ("dataplane/meson.build", "declare_dependency(x)\ndependency('cmocka')\n", "found once, by the top"),
    ("meson.build", "threads = dependency('threads')\n", None),
    ("tests/bench/meson.build", "dependency('libbpf')\n", None),
    ("elsewhere/x.c", "", "belongs to no folder"),
    ("tests/lib/x.c", '#include "storage/segment.h"\n#include <rte_mbuf.h>\n', None),
    ("build/x.c", '#include "nonsense.h"\n', None),
)


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, text, _ in SELF_TEST:
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as f:
                f.write(text)
        _, broken = check_tree(root)
        failures = []
        for path, _, want in SELF_TEST:
            got = [b for b in broken if b.startswith(path + ":")]
            if (want is None and got) or (want is not None and not (len(got) == 1 and want in got[0])):
                failures.append(f"{path}: want {want!r}, got {got}")
    for f in failures:
        print(f)
    print(f"check-includes self-test: {len(SELF_TEST)} cases, {len(failures)} failed")
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    count, broken = check_tree(root)
    for b in broken:
        print(b)
    print(f"check-includes: {count} files, {len(broken)} broken rules")
    return 1 if broken or not count else 0


if __name__ == "__main__":
    sys.exit(main())
