# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A small program in Vdsm's place: it has the one module the add-on looks for, and makes Vdsm's calls."""
