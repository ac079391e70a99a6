# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Between nodes and bodies on one side, and oVirt's XML and JSON on the other."""
