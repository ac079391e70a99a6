# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The runtimes of this host by name, probed once, and the answer to a name that does not work."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from covirt.common.root import Root
from covirt.oci.runtime import Runtime, RuntimeConfig, RuntimeInfo
from covirt.oci.runtimes.command_line import TIMEOUT_SECONDS, CommandLineRuntime
from covirt.oci.runtimes.differences import REFUSED_KINDS
from covirt.oci.runtimes.errors import UnknownRuntime, UnusableRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """The runtimes of this host, each with what probe() found at start-up."""

    by_name: Mapping[str, Runtime]
    infos: Mapping[str, RuntimeInfo] = field(default_factory=dict)

    def named(self, name: str) -> Runtime:
        """Raises UnknownRuntime or UnusableRuntime, both listing what would work."""
        usable = ", ".join(sorted(info.name for info in self.infos.values() if info.usable)) or "none"
        refused = REFUSED_KINDS.get(name)
        if refused is not None:
            raise UnusableRuntime(name=name, reason=refused, usable=usable)
        runtime = self.by_name.get(name)
        if runtime is None:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise UnknownRuntime(name=name, known=known, usable=usable)
        info = self.infos[name]
        if not info.usable:
            raise UnusableRuntime(name=name, reason=info.reason, usable=usable)
        return runtime

    def usable(self) -> tuple[str, ...]:
        """Names of the runtimes that work here, in the configured order."""
        return tuple(name for name in self.by_name if self.infos[name].usable)


DEFAULT_RUNTIMES: tuple[RuntimeConfig, ...] = (
    RuntimeConfig(name="crun", path="crun"),
    RuntimeConfig(name="runc", path="runc"),
)


def load_runtimes(
    root: Root, configs: Iterable[RuntimeConfig] = DEFAULT_RUNTIMES, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> Runtimes:
    """Build and probe the configured runtimes; the daemon starts whatever the result. State lives in ROOT/run."""
    by_name: dict[str, Runtime] = {}
    for config in configs:
        by_name[config.name] = CommandLineRuntime(
            config, state_dir=root.run_dir / "runtimes" / config.name, timeout_seconds=timeout_seconds
        )
    # Each is asked by several programs, which wait for the disk and not for each other.
    with ThreadPoolExecutor(thread_name_prefix="runtime-probe") as pool:
        infos = pool.map(lambda runtime: runtime.probe(), by_name.values())
        return Runtimes(by_name=by_name, infos=dict(zip(by_name, infos, strict=True)))
