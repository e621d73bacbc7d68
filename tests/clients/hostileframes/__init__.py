# SPDX-License-Identifier: Apache-2.0
"""Frames that a broker must survive, and what is said of its answers."""
