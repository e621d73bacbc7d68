# SPDX-License-Identifier: Apache-2.0
"""The parts of `make bench`: see docs/performance.md."""
