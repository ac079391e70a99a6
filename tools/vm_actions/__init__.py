# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be done to a machine of each kind, out of the engine's own table: ``docs/engine-vm-actions.md``."""
