# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host's configuration; the comments are its manual.

``/usr/lib/covirt/host.d/*.toml`` and ``/etc/covirt/host.d/*.toml`` below the root, see common.config.
"""

from dataclasses import dataclass, field

from covirt.common.config import Between, load_config, setting
from covirt.common.listening import check_address
from covirt.common.log import check_level
from covirt.common.metrics_server import check_listen
from covirt.common.root import Root
from covirt.host.network.config import NetworkHostConfig
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.storage_config import StorageConfig
from covirt.host.virt.config import VirtConfig
from covirt.host.virt.container_config import ContainersConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcConfig:
    """Where engines reach the host."""

    # The address to listen on; "::" is every address of both families.
    listen: str = setting("::", check=check_address)
    # Engines expect 54321.
    # 0 takes any free one, which the log then tells.
    port: int = setting(54321, check=Between(0, 65535))
    # Directory with keys/vdsmkey.pem, certs/vdsmcert.pem and certs/cacert.pem, below the root unless it is absolute
    # there. Clients need a certificate of that CA.
    pki_dir: str = "etc/pki/vdsm"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Figures for Prometheus."""

    # ADDRESS:PORT or the path of a unix socket; empty: none. Anybody who can connect can read.
    listen: str = setting("", check=check_listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """All of it."""

    # How much is told: "debug", "info", "warning" or "error".
    log_level: str = setting("info", check=check_level)
    rpc: RpcConfig = field(default_factory=RpcConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    network: NetworkHostConfig = field(default_factory=NetworkHostConfig)
    virt: VirtConfig = field(default_factory=VirtConfig)
    containers: ContainersConfig = field(default_factory=ContainersConfig)


def load_host_config(root: Root) -> HostConfig:
    """Raises UnknownConfigKey, BadConfigValue, BrokenConfigFile."""
    return load_config(HostConfig, (root.vendor_config_dir / "host.d", root.config_dir / "host.d"))
