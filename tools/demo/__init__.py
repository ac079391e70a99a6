# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``./dev demo``: a container and a virtual machine side by side, in their own namespaces, managed by an engine."""
