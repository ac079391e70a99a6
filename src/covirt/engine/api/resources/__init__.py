# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The resources: from the engine's model to nodes, one file per noun."""
