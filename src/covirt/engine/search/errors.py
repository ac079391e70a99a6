# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a search can be told."""

from covirt.common.errors import InvalidRequest


class BadSearch(InvalidRequest):
    """Fields: text (the whole search), reason (a clause that says what is wrong and what would be right)."""

    template = "The search {text!r} cannot be answered: {reason}."
