# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets: made, changed, removed, and given to who may use them."""
