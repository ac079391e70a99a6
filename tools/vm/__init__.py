# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with a stock Debian, systemd and cgroup v2, in which the installed daemon is tested."""
