# SPDX-License-Identifier: Apache-2.0
"""What a daemon refuses: a data directory in use or of a newer format, a mistake in its config.

Needs no root: the port is a capture.
"""

import os

from sltest import SLOW, Checks, Scope, frames
from sltest.daemon import SLUICED, Daemon, listener, topic


def make(scope, name, **kw):
    capture = scope.path("one.pcap")
    frames.write_pcap(capture, [frames.udp_frame("192.0.2.1", "192.0.2.250", 1024, 514, b"<13>one")])
    return Daemon(scope, name, ports=[{"name": "cap", "backend": "pcap", "file": capture}],
                  listeners=[listener("syslog", "cap", "syslog", "logs", 514, key="source")],
                  topics=[topic("logs", 1)], **kw)


def data_directory(scope, check):
    """One daemon at a time, and of a format that it knows."""
    first = make(scope, "first")
    first.start()
    second = make(scope, "second", data=first.data)
    second.launch()
    code = second.process.wait(30 * SLOW)
    check.equal(code, 1, "a second daemon on the same data directory ends with 1")
    check.that(first.data in second.log_text() and "lock" in second.log_text().lower(), "and names the directory and the lock")
    check.that(first.ready(), "the first one does not notice")
    check.equal(first.stop()[0], 0, "first one stopped")

    version_file = os.path.join(first.data, "state", "format")
    with open(version_file) as f:
        version = f.read()
    with open(version_file, "w") as f:
        f.write(version.replace("1", "999", 1))
    first.launch()
    check.equal(first.process.wait(30 * SLOW), 1, "a data directory of a newer format version is refused")
    check.that("999" in first.log_text().splitlines()[-1] or "newer" in first.log_text().lower(), "and says so")
    with open(version_file, "w") as f:
        f.write(version)
    first.start()
    check.equal(first.stop()[0], 0, "the right version starts again: nothing was changed")


def command_line(scope, check):
    bad = scope.path("bad.yaml")
    with open(bad, "w") as f:
        f.write("gateway: {id: x, colour: blue}\n")
    r = scope.run([SLUICED, "-c", bad], check=False)
    check.equal(r.returncode, 2, "a mistake in the config: exit 2")
    check.that(f"{bad}:1" in r.stderr and "colour" in r.stderr, "with file, line and key")
    r = scope.run([SLUICED, "--version"])
    check.that(r.stdout.startswith("sluiced "), f"--version: {r.stdout.strip()}")
    for argv in ([], ["--colour"], ["-c", bad, "more"]):
        check.equal(scope.run([SLUICED, *argv], check=False).returncode, 2, f"sluiced {' '.join(argv[:1])}: exit 2")


def warnings(scope, check):
    rules = [{"filter": "a/#", "topic": "t"}, {"filter": "a/b", "topic": "t"}]
    daemon = make(scope, "warned", extra={"mqtt": {"socket": scope.path("mqtt.sock"), "map": rules}})
    daemon.start()
    check.equal(daemon.stop()[0], 0, "a rule that can never match: the daemon runs")
    check.that("mqtt.map[1].filter: can never match" in daemon.log_text(), "and warns of it at its start")


def main():
    check = Checks()
    with Scope("refusals") as scope:
        data_directory(scope, check)
        command_line(scope, check)
        warnings(scope, check)
    check.finish()


if __name__ == "__main__":
    main()
