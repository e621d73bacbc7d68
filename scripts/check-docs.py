#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every page that a source, a header, a script or another page names is there.

    check-docs.py [ROOT]
    check-docs.py --self-test

Looked for: `docs/NAME.md` anywhere in text, `decisions/NAME.md` and `formats/NAME.md` (which are
below docs/), and the relative links of Markdown pages. Exit 1 and one line each for what is missing.
"""

import os
import re
import sys
import tempfile

TEXT = (".c", ".h", ".py", ".sh", ".md", ".yaml", ".yml", ".build", ".service", ".txt", ".bpf.c", ".xml", ".err")
NAMES = ("Makefile", "README", "CHANGELOG", "meson_options.txt")
NAMED = re.compile(r"(?<![\w./-])(?:\.\./)*(?:docs/)?((?:decisions|formats)/[\w.-]+\.md|(?<=docs/)[\w./-]+\.md)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def texts(root):
    for folder, dirs, names in os.walk(root):
        dirs[:] = sorted(d for d in dirs if not d.startswith((".", "build", "slt-")))
        for name in sorted(names):
            if name == os.path.basename(__file__):  # its own examples
                continue
            if name.endswith(TEXT) or name in NAMES:
                yield os.path.join(folder, name)


def missing(root):
    """["file:line: what"]"""
    out = []
    for path in texts(root):
        with open(path, encoding="utf-8", errors="replace") as f:
            for number, line in enumerate(f, 1):
                wanted = {os.path.join(root, "docs", name): "docs/" + name for name in NAMED.findall(line)}
                if path.endswith(".md"):
                    for link in LINK.findall(line):
                        if "://" not in link and not link.startswith("mailto:"):
                            wanted[os.path.normpath(os.path.join(os.path.dirname(path), link))] = link
                for target, name in wanted.items():
                    if not os.path.exists(target):
                        out.append(f"{os.path.relpath(path, root)}:{number}: {name} does not exist")
    return out


def self_test():
    with tempfile.TemporaryDirectory() as d:
        def put(name, text):
            os.makedirs(os.path.dirname(os.path.join(d, name)), exist_ok=True)
            with open(os.path.join(d, name), "w") as f:
                f.write(text)
        put("docs/here.md", "[a](here.md) [b](formats/x.md#part) [c](https://e.example/y.md) [d](gone.md)\n")
        put("docs/formats/x.md", "back to [here](../here.md)\n")
        put("src/a.c", "/* docs/here.md, formats/x.md */\n/* see docs/formats/y.md. */\n")
        put("src/b.h", "// decisions/0001-z.md\n")
        put("build/c.c", "// docs/not-looked-at.md\n")
        got = missing(d)
    want = ["docs/here.md:1: gone.md does not exist", "src/a.c:2: docs/formats/y.md does not exist",
            "src/b.h:1: docs/decisions/0001-z.md does not exist"]
    if got != want:
        print(f"self-test: got {got}")
        return 1
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    found = missing(os.path.realpath(root))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
