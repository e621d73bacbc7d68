# SPDX-License-Identifier: Apache-2.0
"""One case against one broker, and the good client that must not notice."""

from sltest.base import SLOW

from . import produce, wire
from .protocol import VERSIONS_0, fetch_body
from .wire import Closed, Connection, Undecodable, array, frame, i8, i16, i32, string

GOOD_TIMEOUT = 20


def _read(conn, case, seconds):
    """closed, silent, or the error codes of an answer (with none in its shape: answer)."""
    conn.sock.settimeout(seconds)
    try:
        raw = conn.answer()
    except Closed:
        return "closed"
    except TimeoutError:
        return "silent"
    shape = case.shape()
    if not shape:
        return "answer"
    try:
        if case.key == 18 and len(raw) >= 6 and raw[4:6] == b"\0\x23":
            shape = "e[hhh]"  # of version 0, whatever was asked for
        return ",".join(map(str, wire.decode(raw, shape, header_tags=case.key != 18)[1])) or "answer"
    except Undecodable as e:
        return f"undecodable ({e})"


def outcome(bootstrap, case):
    with Connection(bootstrap, GOOD_TIMEOUT * SLOW) as conn:
        if case.before:
            conn.ask(case.before, "e[hhh]")
        try:
            conn.send(case.raw)
            if case.shut:
                conn.sock.shutdown(1)
        except (Closed, OSError):
            return "closed"
        result = _read(conn, case, case.seconds * SLOW)
        if not case.after or result == "closed":
            return result
        try:
            conn.send(case.after)
            conn.sock.settimeout(GOOD_TIMEOUT * SLOW)
            conn.answer()
            return f"{result}, goes on"
        except Closed:
            return f"{result}, then closed"
        except TimeoutError:
            return f"{result}, then silent"


def good_client(bootstrap):
    """A fresh connection produces a record and fetches it; what was wrong, or None."""
    batch = wire.batch()
    try:
        with Connection(bootstrap, GOOD_TIMEOUT * SLOW) as conn:
            conn.ask(VERSIONS_0, "e[hhh]")
            fields, errors = conn.ask(frame(0, 7, produce.body(batch)), "[s[ielll]]i")
            if errors != [0]:
                return f"produce: error {errors}"
            offset = fields[0][0][1][0][2]
            fields, errors = conn.ask(frame(1, 4, fetch_body(offset=offset, wait=1000, minimum=1)), "i[s[iell[ll]x]]")
            got = fields[1][0][1][0][5]
            if errors != [0] or not got or got[16:17] != b"\2" or got[21:len(batch)] != batch[21:]:
                return f"fetch: errors {errors}, {len(got or b'')} bytes"
    except (Closed, OSError, Undecodable) as e:
        return f"{type(e).__name__}: {e}"
    return None


TOPICS = {"hostile": {}, "hostile-small": {"max.message.bytes": "2000"},
          "hostile-append-time": {"message.timestamp.type": "LogAppendTime"}}


def prepare(bootstrap):
    """Makes the topics; answers whether the broker is warm: no error that says to come again."""
    with Connection(bootstrap, GOOD_TIMEOUT * SLOW) as conn:
        topics = [string(name) + i32(1) + i16(1) + array() + array(*[string(k) + string(v) for k, v in settings.items()])
                  for name, settings in TOPICS.items()]
        _, errors = conn.ask(frame(19, 4, array(*topics) + i32(10000) + i8(0)), "i[ses]")
        if any(e not in (0, 36) for e in errors):
            raise RuntimeError(f"the topics cannot be made: {errors}")
        for key, version, body, shape in (
                (22, 0, string(None) + i32(60000), "ielh"), (10, 0, string("h-commit"), "eisi"),
                *[(9, 5, string(group) + i32(-1), "i[s[ilise]]e") for group in map(str, range(16))]):
            if any(conn.ask(frame(key, version, body), shape)[1]):
                return None
    return good_client(bootstrap) is None or None
