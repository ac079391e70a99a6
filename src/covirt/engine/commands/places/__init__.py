# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Data centers, clusters and CPU profiles: what changes them, in one transaction each."""
