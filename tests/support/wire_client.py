# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt's own small client of libvirt's protocol, for what stock clients will not do, and to ask stock servers."""

from covirt.virtocid.client import CallFailed, WireClient, result

__all__ = ["CallFailed", "WireClient", "result"]
