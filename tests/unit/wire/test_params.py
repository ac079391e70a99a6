# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that are encoded ahead of their reply look the same on the wire as those that are not."""

import pytest
from hypothesis import given

from covirt.wire.errors import Unencodable
from covirt.wire.params import EncodedParams, ParamsCodec, ParamType, TypedParam, encoder, int_, string, ullong
from tests.support import wire_strategies

_CODEC = ParamsCodec(1000)


def encoded(params: tuple[TypedParam, ...]) -> EncodedParams:
    return EncodedParams(len(params), b"".join(encoder(name, ParamType(kind))(value) for name, kind, value in params))


@given(wire_strategies.params())
def test_the_same_bytes(params: tuple[TypedParam, ...]) -> None:
    assert _CODEC.encode(encoded(params)) == _CODEC.encode(params)
    assert tuple(encoded(params)) == _CODEC.decode(_CODEC.encode(params))


def test_the_limit_holds_for_both() -> None:
    params = (int_("a", 1), ullong("b", 2), string("c", "three"))
    for given_params in (params, encoded(params)):
        with pytest.raises(Unencodable):
            ParamsCodec(2).encode(given_params)
