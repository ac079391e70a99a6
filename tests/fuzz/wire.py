# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz the decoders of libvirt's protocol: ``python -m tests.fuzz.wire --seconds 60``.

The first two bytes choose a struct, or the frame reader; the rest is the input. With atheris the coverage leads;
without it, inputs are damaged at random. Anything but a WireError is a finding, and ends the run with a traceback.
"""

import random
import time
from typing import Any, Final

from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.errors import WireError
from covirt.wire.framing import FrameReader
from covirt.wire.structs import RemoteError
from covirt.wire.xdr import Codec
from tests.fuzz._command import main

_MAX_INPUT_BYTES: Final = 4096


def _codecs() -> list[Codec[Any]]:
    structs = {procedure.args for procedure in proc.PROCEDURES.values()}
    structs |= {procedure.ret for procedure in proc.PROCEDURES.values()}
    structs |= {message.body for message in proc.MESSAGES.values()} | {RemoteError}
    return [codec_of(struct) for struct in sorted(structs, key=lambda one: str(one.__name__))]


CODECS: Final = _codecs()


def one_input(data: bytes) -> None:
    """Decode one input; what is accepted must encode and decode to the same value."""
    choice = int.from_bytes(data[:2], "big") % (len(CODECS) + 1)
    rest = data[2:]
    try:
        if choice == len(CODECS):
            for frame in FrameReader(max_frame_bytes=_MAX_INPUT_BYTES).feed(rest):
                if frame.procedure >= 0 and (frame.program, frame.procedure) in proc.PROCEDURES:
                    proc.PROCEDURES[frame.program, frame.procedure].args_codec.decode(frame.payload)
            return
        value = CODECS[choice].decode(rest)
    except WireError:
        return
    encoded = CODECS[choice].encode(value)
    # Compared as bytes: a double may be NaN, which equals nothing.
    assert CODECS[choice].encode(CODECS[choice].decode(encoded)) == encoded, value


def _damage(source: random.Random, data: bytearray) -> None:
    for _ in range(source.randint(1, 8)):
        kind = source.randrange(4)
        place = source.randrange(len(data) + 1)
        if kind == 0 or not data:
            data[place:place] = source.randbytes(source.choice((1, 4, 8)))
        elif kind == 1:
            del data[place : place + source.choice((1, 4, 8))]
        elif kind == 2:
            data[min(place, len(data) - 1)] = source.randrange(256)
        else:
            number = source.choice((0, 1, 16, 17, 0x4000, 0x7FFFFFFF, 0xFFFFFFFF))
            data[place & ~3 : (place & ~3) + 4] = number.to_bytes(4, "big")


def run_random(*, seconds: float, seed: int) -> int:
    """Random damage for so long; the number of inputs tried."""
    source = random.Random(seed)  # noqa: S311 - nothing secret
    kept: list[bytes] = [bytes(64)]
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        data = bytearray(source.choice(kept))
        _damage(source, data)
        choice = source.randrange(len(CODECS) + 1).to_bytes(2, "big")
        one_input(choice + bytes(data[:_MAX_INPUT_BYTES]))
        count += 1
        if source.random() < 0.01:
            kept[source.randrange(len(kept)) if len(kept) > 500 else len(kept) :] = [bytes(data[:512])]
    return count


if __name__ == "__main__":
    main("wire", __doc__, one_input=one_input, run_random=run_random, max_input_bytes=_MAX_INPUT_BYTES)
