#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enforces who may include whom (docs/architecture.md): a star of folders.

    include/sluice <- platform/base, platform/record, platform/net
                   <- { storage, dataplane, bridge } <- platform/app

The three in the middle never include each other; an outside library is given to one folder only.
Looks at the #include lines of every .c and .h; prints file:line and the rule that is broken.

    check-includes.py [ROOT]      check the tree; exit 1 if a rule is broken
    check-includes.py --self-test check the checker
"""

import os
import re
import sys
import tempfile

INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)

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
    "bridge/kafka": BOTTOM,
    "bridge/mqtt": BOTTOM,
    "bridge/uplink": BOTTOM,
    "platform/config": BOTTOM,
    "platform/control": BOTTOM,
    "platform/http": BOTTOM,
    "platform/host": BOTTOM + ("platform/config",),
    "platform/app": BOTTOM + ("storage", "dataplane", "bridge/kafka", "bridge/mqtt", "bridge/uplink",
                              "platform/config", "platform/control", "platform/http", "platform/host"),
    "platform/cli": BOTTOM + ("platform/config", "platform/control", "platform/host"),
    "platform/console": BOTTOM,
}

# Outside header (regular expression) -> the folders that may include it.
OUTSIDE = (
    (r"rte_|generic/rte_", ("dataplane",)),
    (r"xdp/|bpf/(?!bpf_helpers|bpf_endian)|linux/if_xdp\.h", ("dataplane",)),
    (r"libmnl/", ("dataplane",)),
    (r"liburing", ("storage",)),
    (r"librdkafka/", ("bridge/uplink",)),
    (r"mosquitto", ("bridge/mqtt",)),
    (r"(lz4|zstd|snappy|zlib|isa-l|crc)[a-z0-9_-]*(/|\.h$)", ("platform/record",)),
    (r"openssl/|gsasl", ("platform/net",)),
    (r"libfyaml", ("platform/config",)),
    (r"microhttpd", ("platform/http",)),
    (r"jansson", ("platform/control", "platform/http", "platform/app", "platform/cli")),
)

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
    for pattern, owners in OUTSIDE:
        if re.match(pattern, name) and me not in owners:
            return f"<{name}> is given to {' and '.join(owners)}, not to {me}"
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


def sources(root):
    for base, dirs, files in os.walk(root):
        rel = os.path.relpath(base, root)
        dirs[:] = sorted(d for d in dirs if not d.startswith((".", "build")) and d not in ("deps", "__pycache__"))
        for f in sorted(files):
            if f.endswith((".c", ".h")):
                yield os.path.normpath(os.path.join(rel, f))


def check_tree(root):
    count, broken = 0, []
    for path in sources(root):
        count += 1
        broken += [f"{path}:{line}: {problem}" for line, problem in check_file(root, path)]
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
