# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The Python libraries that the programs need at run time, copied out of .venv into a package's own environment;
and oVirt's image daemon, which is a program of its own, into one that nothing of covirt is in.

`./dev setup` got them by the hashes of requirements.lock, so a package is made of what was tested, without a network.
"""

import argparse
import compileall
import importlib.metadata
import py_compile
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

_LAUNCHER = """\
#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


_IMAGEIO: Final = "ovirt-imageio"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.libraries")
    parser.add_argument("--wheel", type=Path, help="covirt's wheel, unpacked; without it: oVirt's image daemon")
    parser.add_argument("stage", type=Path, help="the package's root directory")
    parser.add_argument("place", help="the environment's directory on a host")
    arguments = parser.parse_args()
    if arguments.wheel:
        make_environment(arguments.wheel, arguments.stage, Path(arguments.place))
    else:
        make_imageio_environment(arguments.stage, Path(arguments.place))


def make_environment(wheel: Path, stage: Path, place: Path) -> None:
    """covirt's: its wheel and every library that it needs."""
    packages = _empty_environment(stage, place)
    shutil.copytree(wheel, packages, dirs_exist_ok=True)
    [covirt] = importlib.metadata.distributions(name="covirt", path=[str(wheel)])
    for library in sorted(needed(covirt)):
        _copy(library, packages)
    _compile(packages, stage)
    for script in covirt.entry_points.select(group="console_scripts"):
        module, _, function = script.value.partition(":")
        _launch(stage, place, script.name, module=module, call=function)


def make_imageio_environment(stage: Path, place: Path) -> None:
    """The package as .venv has it: its Python sources, and one module compiled of C."""
    packages = _empty_environment(stage, place)
    source = importlib.metadata.distribution(_IMAGEIO).locate_file("ovirt_imageio")
    shutil.copytree(str(source), packages / "ovirt_imageio", ignore=shutil.ignore_patterns("__pycache__"))
    _compile(packages, stage)
    _launch(stage, place, _IMAGEIO, module="ovirt_imageio._internal.server", call="main")


def _empty_environment(stage: Path, place: Path) -> Path:
    """A virtual environment at `place`; made by hand, since venv writes the paths of where it runs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = stage / place.relative_to("/")
    packages = environment / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin/python3").symlink_to("/usr/bin/python3")
    (environment / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    return packages


def _launch(stage: Path, place: Path, name: str, *, module: str, call: str) -> None:
    """A program of the environment."""
    launcher = stage / place.relative_to("/") / "bin" / name
    launcher.write_text(_LAUNCHER.format(python=place / "bin/python3", module=module, function=call))
    launcher.chmod(0o755)


def needed(distribution: importlib.metadata.Distribution) -> set[str]:
    """The names of all that a distribution requires here, and of what that requires; with the extras that are asked
    for, and no others."""
    found: dict[str, frozenset[str]] = {}
    waiting = [(distribution, frozenset[str]())]
    while waiting:
        for name, extras in _requirements(*waiting.pop()):
            known = found.get(name)
            if known is None or not extras <= known:
                found[name] = extras | (known or frozenset())
                waiting.append((importlib.metadata.distribution(name), found[name]))
    return set(found)


def _requirements(
    distribution: importlib.metadata.Distribution, extras: frozenset[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    for text in distribution.requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": each}) for each in (*extras, "")
        )
        if wanted:
            yield requirement.name.lower(), frozenset(requirement.extras)


def _copy(name: str, packages: Path) -> None:
    """Modules, licences and metadata; not the programs of a library, and nothing that was compiled for .venv."""
    for file in importlib.metadata.distribution(name).files or ():
        if ".." in file.parts or "__pycache__" in file.parts or file.name in {"INSTALLER", "REQUESTED", "RECORD"}:
            continue
        target = packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(file.locate()), target)


def _compile(packages: Path, stage: Path) -> None:
    """A daemon of root's must not write beside its modules what dpkg knows nothing of."""
    compiled = compileall.compile_dir(
        packages, quiet=1, workers=0, stripdir=str(stage), prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    if not compiled:
        raise SystemExit("libraries: a module cannot be compiled")


if __name__ == "__main__":
    main()
