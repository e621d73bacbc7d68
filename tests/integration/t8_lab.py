# SPDX-License-Identifier: Apache-2.0
"""`make run` in a terminal: started, tried with its own printed suggestions, stopped by Ctrl-C.

Devices come in by UDP and by MQTT; a command goes down to one and its answer comes back. A second
lab beside it is refused; a daemon or broker that dies ends the lab with an error; after a kill -9
the next one cleans up by id and name; nothing is left. With CENTRAL and `make lab-central` each
record is at the centre once.
"""

import glob
import json
import os
import pty
import re
import select
import signal
import subprocess

from sltest import SANITIZED, SLOW, Checks, Scope, need_root, say, skip, wait_for
from sltest.base import BUILD, PYTHON, SOURCE, dead_runtime_folders

STATE, CENTRAL_STATE = "/run/sluice-lab", "/run/sluice-lab-central"
LAB = [PYTHON, os.path.join(SOURCE, "lab/lab.py"), "--build", BUILD]
# As a person types it, but for the build directory. What make itself was told is none of its business.
MAKE = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "-u", "MFLAGS", "make", "-s", "-C", SOURCE, f"BUILD={BUILD}"]
NAMES = ("sluice-dev", "sluice-gw")
CHILDREN = f"{STATE}/children"
FILES = (STATE, "/var/tmp/sluice-lab", "/dev/shm/sluice-lab", "/run/sluice/control.sock", CENTRAL_STATE,
         "/var/tmp/sluice-lab-central")
CENTRE = "127.0.0.1:19092"
STARTED = ["mosquitto", "mqtt-devices", "simulator", "sluiced"]


def xdp_programs(scope):
    """{id: name} of the XDP programs in the kernel."""
    r = scope.run(["bpftool", "-j", "prog", "list"])
    return {p["id"]: p.get("name") for p in json.loads(r.stdout) if p.get("type") == "xdp"}


def leftovers(before):
    found = [f"namespace {n}" for n in NAMES if os.path.exists(f"/run/netns/{n}")]
    found += [f"file {p}" for p in FILES if os.path.exists(p)]
    found += [f"process {p}: {cmd}" for p, cmd in processes()]
    found += [f"runtime folder {p}" for p in dead_runtime_folders() - before["dpdk"]]
    found += [f"hugepage file {p}" for p in set(glob.glob("/dev/hugepages/*")) - before["huge"]]
    return found


def processes():
    """The lab's own: its scripts, and what has a file of its state on the command line."""
    scripts = tuple(os.path.join(SOURCE, "lab", name) for name in os.listdir(os.path.join(SOURCE, "lab")))
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                argv = [a for a in f.read().decode(errors="replace").split("\0") if a]
        except OSError:
            continue
        if any(a in scripts or a.startswith(STATE) for a in argv):  # also of lab-central
            out.append((int(pid), " ".join(argv)))
    return out


class Terminal:
    """A program with a terminal of its own; what it prints is read as it comes."""

    def __init__(self, scope, argv=tuple(LAB)):
        self.master, slave = pty.openpty()
        # The terminal is its controlling one, so that Ctrl-C is a signal.
        self.process = scope.popen(["setsid", "--ctty", *argv], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.text = ""

    def pump(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return
            if not piece:
                return
            self.text += piece.decode(errors="replace").replace("\r\n", "\n")

    def wait_text(self, pattern, timeout=30):
        def seen():
            self.pump()
            return re.search(pattern, self.text, re.M) or self.process.poll() is not None
        wait_for(f"the lab to print {pattern!r}", seen, timeout)
        m = re.search(pattern, self.text, re.M)
        if not m:
            raise RuntimeError(f"the lab ended with {self.process.returncode} before printing {pattern!r}:\n{self.text}")
        return m

    def ctrl_c(self):
        os.write(self.master, b"\x03")

    def wait_end(self, timeout=40):
        def ended():
            self.pump()
            return self.process.poll() is not None
        wait_for("the lab to end", ended, timeout)
        self.pump()
        os.close(self.master)
        return self.process.returncode


def suggestions(text):
    """The lines under "Try", as a person would copy them."""
    block = text[text.index("Try, in another terminal:"):text.index("Ctrl-C ends it")]
    return [line.strip() for line in block.splitlines()[1:] if line.startswith("  ")]


def shell(scope, line, timeout=30):
    return scope.run(["bash", "-c", line], timeout=timeout, check=False)


def find(lines, *words):
    return next(line for line in lines if all(w in line for w in words))


def try_suggestions(scope, check, lab):
    lines = suggestions(lab.text)
    say("suggested: " + " | ".join(lines))
    try_mqtt(scope, check, lines)
    logger = find(lines, "logger")
    r = shell(scope, logger)
    check.equal((r.returncode, r.stderr), (0, ""), "the logger line works as printed")
    # The stream goes on in the same topic, so the message is looked for in more than its end. (kcat -e
    # would not do: it waits for a moment in which nothing comes.)
    wait_for("the logger's message to be in the log", lambda: shell(
        scope, "timeout 5 kcat -q -b 127.0.0.1:9092 -t logs -C -o -4000 | grep -m 1 'hello from'").stdout)
    check.that(True, "kcat shows the logger's message")
    r = shell(scope, find(lines, "kcat", "-o -5"))
    got = r.stdout.splitlines()
    check.equal((r.returncode, len(got)), (0, 20), "the kcat line shows records and ends")
    check.that(all(line.startswith("<") for line in got), "they are syslog messages: " + (got[0] if got else "none"))
    r = shell(scope, find(lines, " status"))
    check.that(r.returncode == 0 and "accepted" in r.stdout, "sluice status as printed")
    print(r.stdout, flush=True)
    r = shell(scope, find(lines, " drops"))
    check.equal(r.returncode, 0, "sluice drops as printed")
    r = shell(scope, find(lines, " status") + " --json")
    led = json.loads(r.stdout)["ledger"]
    check.that(led["accepted"] > 1000 and led["ring_full"] == 0, f"--json: {led['accepted']} accepted")
    telemetry = shell(scope, find(lines, "kcat", "telemetry")).stdout.splitlines()
    check.that(telemetry and all("device" in json.loads(t) for t in telemetry), "telemetry is JSON: " + (telemetry or [""])[0])


def try_mqtt(scope, check, lines):
    """A message up, one down, and what the device answers."""
    pub = find(lines, "mosquitto_pub")
    check.equal(shell(scope, pub).returncode, 0, "the mosquitto_pub line works as printed")
    wait_for("the message to be in the log", lambda: "door-01" in shell(
        scope, "timeout 5 kcat -q -b 127.0.0.1:9092 -t machines -C -o -1000 -e -f '%k %s\\n'").stdout)
    got = shell(scope, find(lines, "kcat", "machines")).stdout.splitlines()
    check.that(len(got) == 10 and all("mqtt.topic=factory/" in line and "line=line-" in line for line in got),
               f"kcat shows devices' states with their headers: {got[:1]}")
    got = shell(scope, find(lines, "mosquitto_sub", "factory/#")).stdout.splitlines()
    check.that(len(got) == 5 and all(line.startswith("factory/") for line in got), "mosquitto_sub sees them, too")
    listener = scope.popen(["bash", "-c", find(lines, "mosquitto_sub", "devices/#")], stdout=subprocess.PIPE, text=True)
    command = find(lines, "kcat", "-P", "commands")
    r = shell(scope, command)
    check.equal(r.returncode, 0, "the command line works as printed")
    answer = shell(scope, find(lines, "kcat", "answers")).stdout
    check.that("valve-01" in answer and '"set": 42.0' in answer and "mqtt.correlation=job-1" in answer,
               f"the device's answer is in the log with the correlation data: {answer.strip()}")

    def over():  # it may have subscribed only after the command had passed: then again
        if listener.poll() is None:
            shell(scope, command)
        return listener.poll() is not None

    wait_for("mosquitto_sub to see a command and an answer", over, 25, step=1)
    seen = listener.stdout.read()
    check.that("devices/valve-01/cmd" in seen and "devices/valve-01/answer" in seen, f"mosquitto_sub on devices/#: {seen!r}")


def rates(text):
    return [int(m) for m in re.findall(r"^\d\d:\d\d:\d\d +(\d+)/s +accepted", text, re.M)]


def first_life(scope, check, before):
    """make run: Ctrl-C goes to everything in the foreground, make among it."""
    lab = Terminal(scope, [*MAKE, "run"])
    lab.wait_text(r"^Ctrl-C ends it", 300)  # it installs and builds what is missing
    lab.wait_text(r"(?:^\d\d:\d\d:\d\d +\d+/s.*\n(?:.*\n)*?){4}", 60)
    check.that(all(1000 <= r <= 3000 for r in rates(lab.text)[1:]), f"a steady load of about 2,000/s: {rates(lab.text)}")
    last = lab.text.splitlines()[-1]
    accepted, lost, messages = (int(re.search(word + r" +(\d+)", last)[1]) for word in ("accepted", "lost", "mqtt"))
    check.that(messages > 20 and "mqtt" in last and "pushed back 0" in last, f"{messages} MQTT messages stored, none pushed back")
    # two shared cores: the source and a loaded machine can hold the poller up; then it is few, and named
    check.that(lost <= accepted / (5 if SANITIZED else 100), f"lost {lost} beside {accepted} accepted")
    try_suggestions(scope, check, lab)
    refused(check)
    check.that(lab.process.poll() is None, "and the first one does not notice")
    lab.ctrl_c()
    lab.wait_end()  # make's own code says only that it was interrupted
    check.that("lab: stopped, nothing left behind" in lab.text, "Ctrl-C reaches the lab through make, which waits for it")
    check.that("Traceback" not in lab.text, "no traceback")
    check.equal(leftovers(before), [], "nothing left behind")


def refused(check):
    """A second one beside the one that runs: what lab.py says, and make run."""
    second = subprocess.run(LAB, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=60 * SLOW)
    check.that(second.returncode == 1 and "running already" in second.stdout, f"a second one: {second.stdout.strip()}")
    second = subprocess.run([*MAKE, "run"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=300 * SLOW)
    check.that(second.returncode == 2 and "running already" in second.stdout,
               f"make run says the same and ends with make's own {second.returncode} for the lab's 1")


def killed_life(scope, check, before, written):
    """Killed with -9: the daemon stays; the next start finds it by its id, or by its argv if it was not
    written down yet, and the rest by name."""
    lab = Terminal(scope)
    lab.wait_text(r"^\d\d:\d\d:\d\d +\d+/s", 60)
    check.that(True, "started again")
    lab.process.kill()
    lab.wait_end()
    say(f"after kill -9 of the lab: {leftovers(before)}")
    children = recorded()
    check.equal(sorted(children), STARTED, "its children are written down")
    if not written:  # as if it had been killed before it could write anything down
        os.unlink(CHILDREN)
    lab = Terminal(scope)
    lab.wait_text(r"an earlier lab did not end cleanly", 60)
    lab.wait_text(r"^\d\d:\d\d:\d\d +\d+/s", 60)
    said = re.search(r"^lab: an earlier lab.*", lab.text, re.M)[0]
    # The simulators die with the lab; what serves others stays.
    check.that(all(f"{name} (process {children[name]})" in said for name in ("sluiced", "mosquitto")),
               f"written down: {written}: {said}")
    lab.ctrl_c()
    check.equal(lab.wait_end(), 0, "Ctrl-C ends it with 0")
    check.equal(leftovers(before), [], "nothing left behind")


def recorded(path=CHILDREN):
    """{name: pid} of the lab's children."""
    with open(path) as f:
        return {name: int(pid) for name, pid, _ in (line.split() for line in f)}


def orphaned_life(scope, check, before, name):
    """One of its servers is killed with -9 under the lab: it notices, cleans up and ends with an error."""
    lab = Terminal(scope)
    lab.wait_text(r"^\d\d:\d\d:\d\d +\d+/s", 60)
    os.kill(recorded()[name], signal.SIGKILL)
    check.equal(lab.wait_end(), 1, f"kill -9 of {name}: the lab ends with 1")
    check.that(f"{name} ended by itself with -9" in lab.text, "and says why")
    kept = re.search(r"log is kept as (\S+)", lab.text)
    check.that(kept and os.path.getsize(kept[1]) > 0, "the daemon's log is kept")
    if kept:
        os.unlink(kept[1])
    check.equal(leftovers(before), [], "nothing else left behind")


# ---- with a centre --------------------------------------------------------------------------------------


def at_centre(scope, topic):
    """{partition: [offsets at the edge]} of what a read_committed consumer gets, in its order."""
    r = scope.run(["kcat", "-q", "-b", CENTRE, "-X", "isolation.level=read_committed", "-t", f"lab.{topic}", "-C",
                   "-o", "beginning", "-e", "-f", "%h\n"], timeout=60)
    found = {}
    for line in r.stdout.splitlines():
        headers = dict(h.split("=", 1) for h in line.split(",") if h.startswith("sluice."))
        if (headers["sluice.gateway"], headers["sluice.topic"]) != ("lab", topic):
            raise RuntimeError(f"a record of somebody else in lab.{topic}: {line}")
        found.setdefault(int(headers["sluice.partition"]), []).append(int(headers["sluice.offset"]))
    return found


def central_life(scope, check, before):
    """Two terminals, as lab-central says: everything is at the centre once, also a command from there."""
    centre = Terminal(scope, [*MAKE, "lab-central"])
    line = centre.wait_text(r"^  make run (CENTRAL=\S+)$", 300)[1]
    check.equal(line, f"CENTRAL={CENTRE}", "lab-central says what to type")
    lab = Terminal(scope, [*MAKE, "run", line])
    lab.wait_text(r"^Ctrl-C ends it", 300)
    lab.wait_text(r"centre [1-9]\d{3,} of \d+, running", 120)
    lines = suggestions(lab.text)
    r = shell(scope, find(lines, "uplink status"))
    check.that(r.returncode == 0 and "running" in r.stdout, f"sluice uplink status: {r.stdout.strip()!r}")
    got = shell(scope, find(lines, "kcat", "lab.machines")).stdout.splitlines()
    check.that(len(got) == 10 and all("sluice.gateway=lab" in g and "mqtt.topic=" in g for g in got),
               f"the centre's records say where they come from: {got[:1]}")
    check.equal(shell(scope, find(lines, "kcat", "-P", CENTRE)).returncode, 0, "a command at the centre, as printed")
    answers = "timeout 5 kcat -q -b 127.0.0.1:9092 -t answers -C -o beginning -e -f '%k %s\\n'"
    wait_for("the device's answer to the centre's command",
             lambda: "valve-02" in shell(scope, answers).stdout and "43.0" in shell(scope, answers).stdout, 60)
    check.that(True, "it reaches its device, which answers")
    lab.ctrl_c()
    lab.wait_end()
    check.that("nothing left behind" in lab.text, "Ctrl-C ends the lab")
    shown = int(re.findall(r"centre (\d+) of", lab.text)[-1])
    count_centre(scope, check, shown)
    kill_centre(scope, check, before, centre)


def count_centre(scope, check, shown):
    total = 0
    for topic in ("logs", "telemetry", "machines", "alarms", "answers"):
        for partition, offsets in at_centre(scope, topic).items():
            if not check.equal(offsets, list(range(len(offsets))), f"{topic}-{partition}: each once and in order") or not offsets:
                say(f"{topic}-{partition}: {len(offsets)} records, from {offsets[:3]} to {offsets[-3:]}")
            total += len(offsets)
    check.that(total >= shown, f"{total} records at the centre, {shown} shown when the lab was last asked")


def kill_centre(scope, check, before, centre):
    """kill -9 of lab-central, whose Kafka stays; the next one finds it; Ctrl-C ends that."""
    pid = recorded(f"{CENTRAL_STATE}/children")["kafka"]
    os.killpg(os.getpgid(centre.process.pid), signal.SIGKILL)
    centre.wait_end()
    check.that(f"process {pid}" in " ".join(leftovers(before)), "after kill -9 of lab-central its Kafka is there")
    centre = Terminal(scope, [*MAKE, "lab-central"])
    said = centre.wait_text(r"^lab-central: an earlier one.*", 60)[0]
    check.that(f"kafka (process {pid})" in said, said)
    centre.wait_text(r"^Ctrl-C ends it", 120)
    centre.ctrl_c()
    centre.wait_end()
    check.that("lab-central: stopped, nothing left behind" in centre.text, "Ctrl-C ends lab-central")
    check.equal(leftovers(before), [], "nothing left behind")


def bounded_life(scope, check, before):
    r = scope.run(["env", "SLUICE_LAB_SECONDS=3", *LAB], check=False)
    check.equal(r.returncode, 0, "SLUICE_LAB_SECONDS ends it by itself")
    check.equal(leftovers(before), [], "nothing left behind")


def sweep_lab():
    """Only if this test fails half-way: what it started, by the lab's own record."""
    central = [PYTHON, os.path.join(SOURCE, "lab/central.py")]
    for state, argv in ((STATE, LAB), (CENTRAL_STATE, central)):
        if os.path.exists(state):
            subprocess.run(argv, env={**os.environ, "SLUICE_LAB_SECONDS": "0.1"}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def main():
    need_root()
    if os.path.exists("/run/netns/sluice-gw"):
        skip("a lab is running on this machine")
    check = Checks()
    with Scope("t8") as scope:
        before = {"dpdk": dead_runtime_folders(), "huge": set(glob.glob("/dev/hugepages/*"))}
        programs = xdp_programs(scope)
        scope.undo(sweep_lab)
        first_life(scope, check, before)
        for written in (True, False):
            killed_life(scope, check, before, written)
        for name in ("sluiced", "mosquitto"):
            orphaned_life(scope, check, before, name)
        bounded_life(scope, check, before)
        central_life(scope, check, before)
        fresh = {i: n for i, n in xdp_programs(scope).items() if i not in programs}
        check.equal(fresh, {}, "no XDP program stays in the kernel")
    check.finish()


if __name__ == "__main__":
    main()
