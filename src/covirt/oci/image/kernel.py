# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""placeholder"""

from covirt.common.root import Root


def choose_filesystem(root: Root) -> str:
    return "erofs"
