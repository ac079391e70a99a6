# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which host a machine is started on. Pure functions of what the engine knows of hosts and machines."""
