# SPDX-License-Identifier: Apache-2.0
"""P2: the same on one shared veth: CPU per record of the receiving process, and records per second.

One generator for all (BPF live frames, CPU 0, where the softirqs run too); receivers on CPU 1.
CPU is what the scheduler charged to all threads of the receiving process, empty polls included;
softirq time lies with the sender's core for everybody and is left out for everybody.

Whatever was sent and is not stored is looked for in every counter on the way and named by it; what
no counter of ours names voids our row."""

import re
import time
from statistics import median

from . import host
from .daemon import Sluiced, refused
from .table import Row

BYTES = 200
DELIVERED = 0.999
EQUAL_RATE = 300000  # below what any of them loses at
_PEERS = {"recvmmsg + append": ("recvmmsg", 1 / 20, 3.5), "rsyslog": ("rsyslog", 1 / 35, 5)}


class _SluicedReceiver:
    """sluiced with the shape of peers.Receiver."""

    def __init__(self, ctx, link):
        port = f"backend: af_xdp, device: {link.rx}, netns: {link.rx_ns}"
        self.d = Sluiced(ctx, "veth", port, [host.SUT_CPU], hugepages=ctx.hugepages)
        self.last = None

    def __enter__(self):
        self.d.__enter__()
        self.proc = self.d.proc
        return self

    def __exit__(self, *exc):
        self.d.__exit__(*exc)

    def records(self):
        return self.d.status()["ledger"]["appended"]

    def finish(self):
        self.last = self.d.drained()
        self.d.stop()
        return self.d.verify(BYTES)["records"]

    def lost(self):
        return refused(self.last)


class _PeerReceiver:
    def __init__(self, ctx, link, which):
        self.ns = link.rx_ns
        self.start = lambda: getattr(ctx.peers, which)(link.rx_ns, link.address, 5514)

    def __enter__(self):
        self.r = self.start()
        self.proc = self.r.proc
        return self

    def __exit__(self, *exc):
        self.r.__exit__(*exc)

    def records(self):
        return self.r.size() / (BYTES + 1)

    def finish(self):
        return self.r.finish()

    def lost(self):
        return lost_by_socket(host.run("ip", "netns", "exec", self.ns, "cat", "/proc/net/snmp"))


def _sum(text, pattern):
    return sum(int(n) for n in re.findall(pattern, text))


def lost_before(sent, veth):
    """What was lost between the generator and the receiver's end of the link, by name; `veth` is what
    `ethtool -S` says of the sending end. (No queue of a CPU lies between: veth's NAPI delivers.)"""
    taken, full = _sum(veth, r"tx_queue_\d+_xdp_xmit: (\d+)"), _sum(veth, r"tx_queue_\d+_xdp_xmit_errors: (\d+)")
    out = {"generator": sent - taken - full, "veth_queue": full}
    return {k: n for k, n in out.items() if n}


def lost_by_socket(snmp):
    """What the kernel's UDP lost in a namespace, from its /proc/net/snmp."""
    head, udp = re.search(r"^Udp: ([A-Z].*)\nUdp: (.*)", snmp, re.M).groups()
    row = dict(zip(head.split(), map(int, udp.split())))
    out = {"socket_buffer": row["RcvbufErrors"], "udp_errors": row["InErrors"] - row["RcvbufErrors"]}
    return {k: n for k, n in out.items() if n}


def _names(run):
    lost = {**run["lost"], "unnamed": run["unnamed"]}
    return "".join(f", {k} {n}" for k, n in lost.items() if n)


def unnamed(sent, stored, lost):
    """Datagrams that are neither stored nor counted as lost by anybody."""
    return sent - stored - sum(lost.values())


def one_run(ctx, make, rate, seconds):
    """CPU µs per record and records/s in the middle of a run, and the share that arrived at all."""
    with host.Link() as link, make(ctx, link) as r:
        argv = [ctx.tools["live_gen"], ctx.tools["live_gen.bpf.o"], link.tx, link.mac, link.address, 5514,
                BYTES, seconds + 0.9, rate]
        with host.Proc(argv, f"{ctx.work}/gen.log", cpus=[host.SOURCE_CPU], netns=link.tx_ns) as g:
            time.sleep(0.6)
            n0, c0, t0 = r.records(), r.proc.cpu()["total"], time.monotonic()
            time.sleep(seconds)
            n1, c1, t1 = r.records(), r.proc.cpu()["total"], time.monotonic()
            g.wait(15)
            g.out.flush()
            sent = host.json_of(g.tail())["sent"]
        stored = r.finish()
        lost = lost_before(sent, host.run("ip", "netns", "exec", link.tx_ns, "ethtool", "-S", link.tx))
        lost.update(r.lost())
    if n1 <= n0:
        raise host.BenchError("nothing arrived")
    return {"cpu": (c1 - c0) * 1e6 / (n1 - n0), "rate": (n1 - n0) / (t1 - t0), "busy": (c1 - c0) / (t1 - t0),
            "delivered": stored / sent, "sent": sent, "lost": lost, "unnamed": unnamed(sent, stored, lost)}


def run(ctx):
    full = {n: Row("P2", "records/s on one veth, full rate, 200 B", "records/s", n, (">=", g))
            for n, (_, _, g) in _PEERS.items()}
    cost = {n: Row("P2", "receiving CPU per record, full rate", "us/record", n, ("<=", g))
            for n, (_, g, _) in _PEERS.items()}
    equal = {n: Row("P2", f"receiving CPU per record, {EQUAL_RATE // 1000} k/s offered to each", "us/record", n,
                    ("<=", g)) for n, (_, g, _) in _PEERS.items()}
    makers = {"sluiced": _SluicedReceiver}
    for n, (which, _, _) in _PEERS.items():
        makers[n] = lambda ctx, link, which=which: _PeerReceiver(ctx, link, which)
    failed = {}
    for i in ctx.rounds():
        for rate in (0, EQUAL_RATE):
            got = {}
            for n, make in makers.items():
                if n in failed:
                    continue
                try:
                    got[n] = one_run(ctx, make, rate, ctx.veth_s)
                except host.BenchError as e:
                    failed[n] = str(e)
            _take(got, full if not rate else None, cost if not rate else equal)
            ctx.say(f"P2 {i + 1}/{ctx.runs} {'full' if not rate else 'equal'}: " + ", ".join(
                f"{n} {x['rate'] / 1e6:.3f} M/s, {x['cpu']:.3f} us/record, {x['delivered'] * 100:.2f} % stored"
                f"{_names(x)}" for n, x in got.items()))
    out = [*full.values(), *cost.values(), *equal.values()]
    for row in out:
        if "sluiced" in failed:
            row.cannot("sluiced: " + failed["sluiced"])
        elif row.baseline in failed:
            row.cannot(failed[row.baseline])
        _note_delivery(row)
    for row in full.values():
        if row.extra.get("delivered") and median(row.extra["delivered"]) < DELIVERED:
            row.also = False
            row.note(f"the goal asks for {DELIVERED * 100:.1f} % stored as well")
    return out


def _take(got, rates, costs):
    for n, row in costs.items():
        for who, values in (("sluiced", row.values), (n, row.base)):
            if who in got:
                values.append(got[who]["cpu"])
        _remember(row, got, n)
        if rates:
            for who, values in (("sluiced", rates[n].values), (n, rates[n].base)):
                if who in got:
                    values.append(got[who]["rate"])
            _remember(rates[n], got, n)


def _remember(row, got, n):
    for who, key in (("sluiced", "delivered"), (n, "baseline_delivered")):
        if who in got:
            row.extra.setdefault(key, []).append(round(got[who]["delivered"], 5))
    for who, key in (("sluiced", "lost"), (n, "baseline_lost")):
        if who in got:
            row.extra.setdefault(key, []).append({**got[who]["lost"], "unnamed": got[who]["unnamed"]})
    if "sluiced" in got and got["sluiced"]["unnamed"]:
        row.cannot(f"{got['sluiced']['unnamed']} datagrams are neither stored nor counted as lost by anybody")


def _note_delivery(row):
    ours, theirs = row.extra.get("delivered"), row.extra.get("baseline_delivered")
    if ours and theirs:
        row.note(f"stored of what was sent: sluiced {median(ours) * 100:.2f} % (lowest {min(ours) * 100:.2f} %), "
                 f"{row.baseline} {median(theirs) * 100:.2f} %")
