# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The Python libraries that the programs need at run time, copied out of .venv into a package's own environment.

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

from packaging.requirements import Requirement

_LAUNCHER = """\
#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.libraries")
    parser.add_argument("wheel", type=Path, help="covirt's wheel, unpacked")
    parser.add_argument("stage", type=Path, help="the package's root directory")
    parser.add_argument("place", help="the environment's directory on a host")
    arguments = parser.parse_args()
    make_environment(arguments.wheel, arguments.stage, Path(arguments.place))


def make_environment(wheel: Path, stage: Path, place: Path) -> None:
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
    shutil.copytree(wheel, packages, dirs_exist_ok=True)
    [covirt] = importlib.metadata.distributions(name="covirt", path=[str(wheel)])
    for library in sorted(needed(covirt)):
        _copy(library, packages)
    _compile(packages, place / packages.relative_to(environment))
    for script in covirt.entry_points.select(group="console_scripts"):
        module, _, function = script.value.partition(":")
        launcher = environment / "bin" / script.name
        launcher.write_text(_LAUNCHER.format(python=place / "bin/python3", module=module, function=function))
        launcher.chmod(0o755)


def needed(distribution: importlib.metadata.Distribution) -> set[str]:
    """The names of all that a distribution requires here, and of what that requires; extras are nobody's wish."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        for name in _requirements(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(importlib.metadata.distribution(name))
    return found


def _requirements(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name.lower()


def _copy(name: str, packages: Path) -> None:
    """Modules, licences and metadata; not the programs of a library, and nothing that was compiled for .venv."""
    for file in importlib.metadata.distribution(name).files or ():
        if ".." in file.parts or "__pycache__" in file.parts or file.name in {"INSTALLER", "REQUESTED", "RECORD"}:
            continue
        target = packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(file.locate()), target)


def _compile(packages: Path, place: Path) -> None:
    """A daemon of root's must not write beside its modules what dpkg knows nothing of."""
    compiled = compileall.compile_dir(
        packages, quiet=1, workers=0, stripdir=str(packages), prependdir=str(place),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    if not compiled:
        raise SystemExit("libraries: a module cannot be compiled")


if __name__ == "__main__":
    main()
