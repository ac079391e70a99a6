# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be done to a Vm of each kind, out of covirt-host's own table: ``docs/host-vm-verbs.md``."""
