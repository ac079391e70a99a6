# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What this host is, and how it does: facts of the kernel in Vdsm's words."""
