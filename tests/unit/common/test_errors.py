# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An error is a sentence and its fields."""

import pytest

from covirt.common.errors import CommandFailed, Conflict, Error


class DiskInUse(Conflict):
    template = "the disk {disk} is in use by {user}; stop it first"


def test_the_sentence_is_filled_from_the_fields() -> None:
    error = DiskInUse(disk="root", user="web")
    assert str(error) == "the disk root is in use by web; stop it first"
    assert (error.disk, error.user) == ("root", "web")


def test_a_forgotten_field_is_noticed_where_the_error_is_made() -> None:
    with pytest.raises(KeyError, match="user"):
        DiskInUse(disk="root")


def test_an_unknown_field_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="colour"):
        _ = DiskInUse(disk="root", user="web").colour


def test_braces_in_a_field_are_text() -> None:
    assert str(Error(message="{not a field}")) == "{not a field}"


def test_a_failed_command_says_which_how_and_why() -> None:
    error = CommandFailed(program="mkfs", status=3, stderr="no space left")
    assert str(error) == "mkfs failed with status 3: no space left"


def test_asking_a_half_made_error_for_a_field_does_not_recurse() -> None:
    with pytest.raises(AttributeError):
        _ = Error.__new__(Error).anything
