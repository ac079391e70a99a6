# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of the installed daemon on a machine of its own: see tools/vm."""
