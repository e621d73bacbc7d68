# SPDX-License-Identifier: Apache-2.0
"""The systemd unit: systemd takes it as it stands, and the daemon speaks Type=notify as it promises.

Needs no root: the port is a capture, and systemd is played by a datagram socket.
"""

import os
import re
import shutil
import socket

from sltest import SLOW, SOURCE, Checks, Scope, frames, say, wait_for
from sltest.base import Timeout
from sltest.daemon import SLUICED, Daemon, listener, topic

UNIT = os.path.join(SOURCE, "configs/sluice.service")


def unit_file(scope, check):
    with open(UNIT) as f:
        text = f.read()
    keys = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    check.equal((keys["Type"], keys["RestartPreventExitStatus"]), ("notify", "2"),
                "notify, and no second try after a config error")
    check.that(int(keys["TimeoutStopSec"]) > 10, "a stop has more time than the drain's 10 s")
    tool = shutil.which("systemd-analyze")
    if not tool:
        say("skipped part: systemd-analyze is not installed, so nobody reads the unit as systemd does")
        return
    copy = scope.path("sluice.service")  # with the program where it is here
    with open(copy, "w") as f:
        f.write(text.replace("ExecStart=/usr/bin/sluiced ", f"ExecStart={SLUICED} "))
    r = scope.run([tool, "verify", "--man=no", copy], check=False, timeout=60)
    told = [line for line in (r.stdout + r.stderr).splitlines() if "sluice" in line]
    check.equal((r.returncode, told), (0, []), "systemd-analyze verify has nothing to say")


def make(scope, name, **kw):
    capture = scope.path("one.pcap")
    frames.write_pcap(capture, [frames.udp_frame("192.0.2.1", "192.0.2.250", 1024, 514, b"<13>one")])
    return Daemon(scope, name, ports=[{"name": "cap", "backend": "pcap", "file": capture}],
                  listeners=[listener("syslog", "cap", "syslog", "logs", 514, key="source")],
                  topics=[topic("logs", 1)], **kw)


def notify(scope, check):
    path, heard = scope.path("notify"), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(20 * SLOW)

        def hear(word):
            """Until a message has this line."""
            while True:
                try:
                    heard.append(s.recv(4096).decode().splitlines())
                except TimeoutError:
                    raise Timeout(f"no {word}, only {heard}") from None
                if word in heard[-1]:
                    return

        os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="2000000")
        first, second = make(scope, "first"), None
        try:
            first.launch()
            hear("READY=1")
            check.that(first.ready(), "READY=1 is sent once /readyz says so")
            check.equal(len(heard), 1, "and is the first word")
            hear("WATCHDOG=1")
            check.that(True, "WATCHDOG=1 follows")
            second = make(scope, "second", data=first.data)
            before = len(heard)
            second.launch()
            check.equal(second.process.wait(30 * SLOW), 1, "a start that fails ends with 1")
            hear("WATCHDOG=1")
            check.that(all("READY=1" not in m for m in heard[before:]), "and never said READY=1")
            first.process.send_signal(15)
            hear("STOPPING=1")
            check.equal(first.process.wait(15 * SLOW), 0, "STOPPING=1 at SIGTERM, then exit 0")
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    first.start()
    wait_for("a daemon that nobody asked to notify", first.ready)
    check.equal(first.stop()[0], 0, "without NOTIFY_SOCKET it runs as well")


def main():
    check = Checks()
    with Scope("systemd") as scope:
        unit_file(scope, check)
        notify(scope, check)
    check.finish()


if __name__ == "__main__":
    main()
