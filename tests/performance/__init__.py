# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements, run by hand with ``./dev bench NAME``; docs/performance.md has the figures."""
