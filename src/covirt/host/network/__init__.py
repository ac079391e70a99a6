# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The host's networks: what there is, and how it becomes what the engine wants."""
