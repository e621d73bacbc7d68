# SPDX-License-Identifier: Apache-2.0
"""What a case is: what is sent on a connection of its own, and how the answers are read."""

from dataclasses import dataclass

# key, version: the shape of an answer (wire.py)
SHAPES = {
    (0, 3): "[s[iell]]i", (0, 6): "[s[ielll]]i", (0, 7): "[s[ielll]]i", (0, 8): "[s[ielll[is]s]]i",
    (0, 9): "~[s[ielll[is]s]]i", (0, 10): "~[s[ielll[is]s]]i",
    (1, 4): "i[s[iell[ll]x]]", (1, 7): "iei[s[ielll[ll]x]]", (1, 9): "iei[s[ielll[ll]x]]",
    (1, 12): "~iei[s[ielll[ll]ix]]",
    (2, 1): "[s[iell]]", (2, 5): "i[s[ielli]]", (2, 7): "~i[s[ielli]]",
    (3, 0): "[isi][es[eii(i)(i)]]", (3, 1): "[isis]i[esb[eii(i)(i)]]", (3, 4): "i[isis]si[esb[eii(i)(i)]]",
    (3, 12): "~i[isis]si[esub[eiii(i)(i)(i)]i]",
    (8, 2): "[s[ie]]", (8, 7): "i[s[ie]]", (8, 8): "~i[s[ie]]",
    (9, 1): "[s[ilse]]", (9, 5): "i[s[ilise]]e", (9, 8): "~i[s[s[ilise]]e]",
    (10, 0): "eisi", (10, 1): "iesisi", (10, 4): "~i[sisies]",
    (11, 0): "eisss[sx]", (11, 2): "ieisss[sx]", (11, 5): "ieisss[ssx]", (11, 9): "~ieisssbs[ssx]",
    (12, 0): "e", (12, 3): "ie", (12, 4): "~ie",
    (13, 0): "e", (13, 3): "ie[sse]", (13, 5): "~ie[sse]",
    (14, 0): "ex", (14, 3): "iex", (14, 5): "~iessx",
    (15, 0): "[essss[sssxx]]", (15, 5): "~i[essss[ssssxx]i]",
    (16, 0): "e[ss]", (16, 4): "~ie[sss]",
    (18, 0): "e[hhh]", (18, 3): "~e[hhh]i",
    (19, 2): "i[ses]", (19, 4): "i[ses]", (19, 7): "~i[suesih[ssbbb]]",
    (20, 1): "i[se]", (20, 6): "~i[sues]",
    (21, 0): "i[s[ile]]", (21, 2): "~i[s[ile]]",
    (22, 0): "ielh", (22, 4): "~ielh",
    (23, 2): "i[s[eiil]]", (23, 4): "~i[s[eiil]]",
    (29, 1): "ies[bsb[ssbb]]", (32, 1): "i[esbs[ssbbb[ssb]]]", (32, 4): "~i[esbs[ssbbb[ssb]bs]]",
    (33, 0): "i[esbs]", (35, 1): "i[es[s[illb]]]", (37, 0): "i[ses]", (37, 3): "~i[ses]", (42, 0): "i[se]", (42, 2): "~i[se]",
    (44, 0): "i[esbs]", (46, 0): "~ies[s[i(i)(i)(i)]]", (47, 0): "ei[s[ie]]", (48, 0): "ies[[ss][sl]]",
    (48, 1): "~ies[[ss][sl]]", (60, 0): "~iessi[isis]i",
}


@dataclass
class Case:
    name: str
    raw: bytes
    key: int = -1  # of the answer; -1: only whether there is one
    version: int = 0
    after: bytes = b""   # an ApiVersions request that follows on the same connection
    before: bytes = b""  # one that comes first, so that this is not a connection's first
    shut: bool = False   # the client then closes its half
    seconds: float = 2.0  # how long an answer is waited for

    def shape(self):
        return SHAPES.get((self.key, self.version))
