# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Roles, users, groups and permissions: what changes them, in one transaction each."""
