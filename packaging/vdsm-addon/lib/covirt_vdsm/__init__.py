# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers of virtocid in an unmodified Vdsm. Python 3.9, the standard library and libvirt only."""
