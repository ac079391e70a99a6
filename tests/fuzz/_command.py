# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What fuzz targets have in common: their command line, and atheris, which is led by coverage."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

OneInput = Callable[[bytes], None]


class RunRandom(Protocol):
    def __call__(self, *, seconds: float, seed: int) -> int:
        """Random damage for so long; the number of inputs tried."""
        ...


def run_atheris(
    one_input: OneInput, *, seconds: float, seed: int, max_input_bytes: int, options: Sequence[str] = ()
) -> None:
    """Coverage-led; atheris ends the process itself. Its preparation alone may take half a minute."""
    import atheris

    instrument: Callable[[OneInput], OneInput] = atheris.instrument_func
    arguments = [f"-max_total_time={int(seconds)}", f"-seed={seed}", f"-max_len={max_input_bytes}", *options]
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], instrument(one_input))
    atheris.Fuzz()


def has_atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """With how long, and with which seed."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0] if description else None)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big") >> 1)
    return parser


def main(
    name: str, description: str | None, *, one_input: OneInput, run_random: RunRandom, max_input_bytes: int
) -> None:
    """The command of a target that atheris leads where it is installed."""
    parser = new_parser(description)
    parser.add_argument("--random", action="store_true", help="random damage, also when atheris is installed")
    given = parser.parse_args()
    if not given.random and has_atheris():
        run_atheris(one_input, seconds=given.seconds, seed=given.seed, max_input_bytes=max_input_bytes)
    else:
        tell(name, run_random(seconds=given.seconds, seed=given.seed), given.seed)


def tell(name: str, count: int, seed: int) -> None:
    print(f"{name}: {count} inputs, nothing found, seed {seed}")  # noqa: T201
