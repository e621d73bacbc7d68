# SPDX-License-Identifier: Apache-2.0
"""The client matrix: unmodified clients against a live gateway; see tests/clients/README.md."""
