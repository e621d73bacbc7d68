# SPDX-License-Identifier: Apache-2.0
"""Two boxes that take themselves for the same: a copied data directory, a cloned disk.

copy    cp -a of the directory, started as a second box: it stops with the alarm `copy` before a single
        frame goes to the centre; `sluice uplink adopt` makes it the gateway, and the old one, started
        again, finds that out.
clone   an image of the whole file system, taken after a clean stop and taken of a running box: the
        same UUID and inode, nothing to tell by. The second one to come finds the other's claim, or
        the running one finds it when it is fenced. One of them goes on.

In each case every record at the centre is there once and is of the box that its claim names, and
what the other one holds is all there, sent or in its backlog.
"""

import os
import signal
import time

from sltest import Checks, Scope, need_root, say, skip, wait_for
from sltest.carried import judge, rows
from sltest.client import Centre
from sltest.daemon import topic
from sltest.uplink import Box, check_book, check_positions
from sltest.wan import Wan

PARTITIONS = 2
QUIET_S = 5          # how long a stopped uplink is watched for frames
IMAGE = 384 << 20


class Twins:
    """Boxes of one name, that send one topic, to one centre."""

    def __init__(self, scope, centre, gateway, topic_name):
        self.scope, self.centre, self.gateway, self.topic = scope, centre, gateway, topic_name

    def make(self, name, data):
        return Box(self.scope, self.centre, [topic(self.topic, PARTITIONS)], name=name, gateway=self.gateway, data=data,
                   storage={"budget": "64MiB", "segment": "4MiB"})

    def put(self, box, count):
        """Records that say which box they were given to; synced when it returns."""
        end = box.appended()
        got = box.client.ask("produce", topic=self.topic, records=[
            {"partition": i % 5 % PARTITIONS, "key": f"k{i % 5}", "value": f"{box.name} {end + i}", "headers": [["box", box.name]]}
            for i in range(count)])
        if not all(isinstance(o, int) for o in got):
            raise RuntimeError(f"refused: {got[:3]}")

    def rows(self):
        path = self.scope.path(f"{self.topic}.rows")
        self.centre.client.read([self.topic], path)
        return path

    def judge(self, check, box, text):
        return judge(check, box.expected([self.topic]), self.rows(), self.gateway, text)

    def shared(self, box):
        """How many records at the centre this box's log has, byte for byte."""
        own = box.expected([self.topic])
        return sum(own.digest((r.from_topic, int(r.from_partition)), int(r.from_offset)) == int(r.digest, 16)
                   for r in rows(self.rows()))


def alarmed(box, what, timeout=60):
    """Until it has stopped with an alarm; is it this one (one of them)?"""
    up = wait_for(f"{box.name} to stop with the alarm {what}", lambda: box.uplink() if box.uplink()["state"] == "alarm"
                  else None, timeout)
    return up.get("alarm") in what.split("|")


# ---- a copy ----

def check_copy(check, scope, wan, centre):
    t = Twins(scope, centre, "gw-copied", "copied")
    first = t.make("first", scope.path("disk-a"))
    first.start()
    t.put(first, 100)
    first.wait_drained()
    check.equal(first.stop()[0], 0, "the first box stops cleanly")
    scope.run(["cp", "-a", first.data, scope.path("disk-b")])
    before = centre.positions()
    copy = t.make("copy", scope.path("disk-b"))
    frames = wan.frames_to_centre()
    copy.start()
    check.that(alarmed(copy, "copy", 20), f"the copy stops with the alarm `copy`: {copy.uplink().get('last_error')!r}")
    t.put(copy, 60)
    time.sleep(QUIET_S)
    check.equal(wan.frames_to_centre() - frames, 0, "not a frame went to the centre")
    check.equal(copy.book()["backlog"], 60, "it takes in what comes, and keeps it")
    check.that("copy" in copy.log_text(), "the log says so")
    copy.stop()
    copy.start()
    check.that(alarmed(copy, "copy", 20) and wan.frames_to_centre() == frames, "a restart does not clear it")
    check.equal(centre.positions(), before, "nothing of it at the centre")
    say(copy.must("adopt").strip())
    copy.wait_drained()
    check.equal(copy.uplink()["state"], "running", "adopted: it goes on where the centre is")
    claim = check_positions(check, copy)[-1]
    check.equal((claim["adopted"], claim["gateway"]), (True, t.gateway), "the claim says so")
    check.equal(t.judge(check, copy, "of the adopted one").count, 160, "160 in all")
    check_old_one(check, t, first, copy)


def check_old_one(check, t, first, copy):
    """The one that it was copied from, started again beside it."""
    first.start()
    check.that(alarmed(first, "token|beyond"), f"the old one finds another: {first.uplink().get('last_error')!r}")
    t.put(first, 40)
    t.put(copy, 40)
    copy.wait_drained()
    check.equal(copy.uplink()["state"], "running", "the adopted one recovers from the fence and goes on")
    check.equal(first.book()["backlog"], 40, "the old one keeps what came to it")
    t.judge(check, copy, "of the adopted one, still")
    for b in (first, copy):
        check.equal(b.stop()[0], 0, f"{b.name}: clean stop")


# ---- a clone ----

class Disk:
    """An ext4 image of its own, mounted below the scope's folder."""

    def __init__(self, scope, name, image=None):
        self.scope, self.image, self.mount = scope, image or scope.path(f"{name}.img"), scope.path(name)
        os.makedirs(self.mount)
        if not image:
            with open(self.image, "wb") as f:
                f.truncate(IMAGE)
            scope.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image])
        try:
            scope.run(["mount", "-o", "loop", self.image, self.mount])
        except RuntimeError as e:
            skip(f"no loop devices here: {e}")
        scope.undo(lambda: scope.run(["umount", self.mount], check=False))

    def clone(self, name):
        """The same bytes as this moment's on another disk."""
        self.scope.run(["fsfreeze", "-f", self.mount])
        try:
            image = self.scope.path(f"{name}.img")
            self.scope.run(["cp", "--sparse=always", self.image, image])
        finally:
            self.scope.run(["fsfreeze", "-u", self.mount])
        return Disk(self.scope, name, image)

    @property
    def data(self):
        return os.path.join(self.mount, "data")

    def identity(self):
        return (self.scope.run(["blkid", "-p", "-s", "UUID", "-o", "value", self.image]).stdout.strip(),
                os.stat(self.data).st_ino)


def check_twins(check, t, winner, loser, common):
    """One goes on; the other one's own records are all in its backlog; nothing is there twice."""
    t.put(winner, 50)
    t.put(loser, 30)
    winner.wait_drained()
    check.equal(winner.uplink()["state"], "running", f"{winner.name} goes on")
    check.that(alarmed(loser, "token"), f"{loser.name} has stopped: {loser.uplink().get('last_error')!r}")
    there = t.judge(check, winner, f"of {winner.name}, and of no other")
    check_book(check, winner, there.count)
    check.equal((t.shared(loser), loser.book()["backlog"]), (common, loser.appended() - common),
                f"{loser.name}: {common} from before are there, all of its own wait in its backlog")


def check_clean_clone(check, t, scope):
    """The image is taken after a clean stop; both start."""
    disk = Disk(scope, "d1")
    one = t.make("one", disk.data)
    one.start()
    t.put(one, 100)
    one.wait_drained()
    one.stop()
    other = disk.clone("d2")
    check.equal(disk.identity(), other.identity(), "both disks have the same UUID and inode")
    one.start()
    one.wait_state("running")
    two = t.make("two", other.data)
    two.start()
    check.that(alarmed(two, "token"), f"the clone finds the other's claim: {two.uplink().get('last_error')!r}")
    check_twins(check, t, one, two, 100)
    two.stop()
    return disk, one


def check_running_clone(check, t, disk, one):
    """The image is taken of a running box, frozen for so long; it finds the clone when it is fenced."""
    common = one.appended()
    one.process.send_signal(signal.SIGSTOP)
    third = disk.clone("d3")
    three = t.make("three", third.data)
    three.start()
    three.wait_state("running", 60)
    t.put(three, 20)
    three.wait_drained()
    one.process.send_signal(signal.SIGCONT)
    t.put(one, 10)  # one that has nothing to send has nothing to be fenced at
    check.that(alarmed(one, "token", 90), f"the first one, fenced, finds it: {one.uplink().get('last_error')!r}")
    check_twins(check, t, three, one, common)
    common = three.appended()
    for b in (one, three):
        check.equal(b.stop()[0], 0, f"{b.name}: clean stop")
    return third, three, common


def check_both_at_once(check, t, disk, three, common):
    """Power comes back to both boxes in the same moment."""
    four = t.make("four", disk.clone("d4").data)
    for b in (three, four):
        b.launch()
    for b in (three, four):
        wait_for(f"{b.name} to be ready", b.ready)
    loser = wait_for("one of them to give way", lambda: next((b for b in (three, four) if b.uplink()["state"] == "alarm"),
                                                            None), 60)
    say(f"{loser.name} gave way")
    check_twins(check, t, three if loser is four else four, loser, common)
    for b in (three, four):
        check.equal(b.stop()[0], 0, f"{b.name}: clean stop")


def main():
    need_root()
    check = Checks()
    with Scope("u") as scope:
        wan = Wan(scope, "uc")
        centre = Centre(scope, 1, wan=wan)
        check_copy(check, scope, wan, centre)
        t = Twins(scope, centre, "gw-cloned", "cloned")
        check_both_at_once(check, t, *check_running_clone(check, t, *check_clean_clone(check, t, scope)))
    check.finish()


if __name__ == "__main__":
    main()
