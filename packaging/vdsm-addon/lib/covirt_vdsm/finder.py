# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Notices that Vdsm's module is imported. Every Python that Vdsm starts loads this: it imports next to nothing."""

import sys
from importlib.machinery import ModuleSpec, PathFinder

TYPE_CHECKING = False  # as in typing, which would cost more than all the rest
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Optional

MODULE = "vdsm.common.libvirtconnection"


class _Loader:
    """The module's own loader, and a look at what it made."""

    def __init__(self, loader: "Any") -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> "Optional[ModuleType]":
        made: Optional[ModuleType] = self._loader.create_module(spec)
        return made

    def exec_module(self, module: "ModuleType") -> None:
        self._loader.exec_module(module)
        try:
            from covirt_vdsm import injection
        except Exception as error:  # noqa: BLE001  # half installed: Vdsm has to start
            sys.stderr.write(f"covirt: the add-on is not whole, install it again: {error}\n")
            return
        injection.take_part(module)


class _Finder:
    def find_spec(
        self,
        fullname: str,
        path: "Any",
        target: "Any" = None,  # noqa: ARG002  # the import system's signature
    ) -> "Optional[ModuleSpec]":
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)  # once
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # what a loader has to have
        return spec


def wait_for_vdsm() -> None:
    """Look at Vdsm's module when it is imported, if ever."""
    sys.meta_path.insert(0, _Finder())
