# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How a client's address is told."""

import pytest

from covirt.common.listening import usual_address


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_ipv4_is_ipv4_on_a_socket_of_both_families(found: str, told: str) -> None:
    assert usual_address(found) == told
