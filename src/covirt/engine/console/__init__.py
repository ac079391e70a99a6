# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of machines for users: display, console, commands and logs, over WebSockets."""
