# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The custom property containerSecrets."""

import pytest

from covirt.engine.vms.container_secrets import GivenSecret, given_secrets


def test_files_and_variables() -> None:
    assert given_secrets("a.key, b:/etc/b.pem,c:PASSWORD") == (
        GivenSecret(name="a.key", path="/run/secrets/a.key"),
        GivenSecret(name="b", path="/etc/b.pem"),
        GivenSecret(name="c", variable="PASSWORD"),
    )
    assert given_secrets("") == ()


@pytest.mark.parametrize(
    "text",
    ["-a", "a b", "../a", "a:", "a:/", "a:/x/../y", "a:/x\ny", "a:b/c", "a:1X", "a,a", "a:X,b:X",
     "a:/run/secrets/b,b", ",".join(f"a:X{number}" for number in range(129))],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        given_secrets(text)
