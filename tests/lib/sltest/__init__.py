# SPDX-License-Identifier: Apache-2.0
"""sltest: the harness of Sluice's system tests. Debian's Python 3, standard library only.

A test is a script: it opens a Scope, makes namespaces, daemons and clients inside it, and ends
with Checks.finish(). Everything that a test starts, it starts through its Scope, which ends it by
process id and name in reverse order, whatever happens.
"""

from .base import (BUILD, RATE_DIV, SANITIZED, SHARED, SLOW, SOURCE, Checks, Scope, free_port,
                   need_root, say, skip, wait_for)

__all__ = ["BUILD", "RATE_DIV", "SANITIZED", "SHARED", "SLOW", "SOURCE", "Checks", "Scope",
           "free_port", "need_root", "say", "skip", "wait_for"]
