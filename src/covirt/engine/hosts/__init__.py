# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's hosts: a connection to each, what they say of themselves and of their guests, and what follows."""
