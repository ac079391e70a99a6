# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt: OCI containers beside KVM virtual machines."""

__version__ = "0.1.0"
