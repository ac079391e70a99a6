# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tags, affinity labels and affinity groups: what changes them, in one transaction each."""
