# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks, how clusters use them, vNIC profiles and MAC pools: what changes them, in one transaction each."""
