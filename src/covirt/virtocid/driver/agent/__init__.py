# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The guest agent that every running container has: virtocid itself answers QEMU's guest agent commands for it."""
