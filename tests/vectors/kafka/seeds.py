#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts the fuzz corpus in ../../fuzz/kafka from requests.txt: for each API and version the
requests of one connection, with their size fields, as they go over the wire."""
import pathlib

here = pathlib.Path(__file__).parent
apis = {0: "produce", 1: "fetch", 2: "list-offsets", 3: "metadata", 18: "api-versions",
        22: "init-producer-id"}
seeds = {}
for line in (here / "requests.txt").read_text().splitlines():
    if not line.startswith("> "):
        continue
    frame = bytes.fromhex(line[2:])
    key, version = int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:4], "big")
    name = f"{apis[key]}-{version}"
    seeds[name] = seeds.get(name, b"") + len(frame).to_bytes(4, "big") + frame
everything = b"".join(v for k, v in sorted(seeds.items()) if not k.startswith("produce-")
                      or int(k.split("-")[1]) > 2)
seeds["everything"] = everything
for name, data in seeds.items():
    (here / "../../fuzz/kafka" / name).write_bytes(data)
