# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine needs to be a host, looked at piece by piece: what is there, what is missing, and what mends it."""

import grp
import os
import pwd
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from covirt.common.daemon_lock import is_daemon_locked
from covirt.common.qemu_system import qemu_system
from covirt.common.root import Root
from covirt.common.units import readable_size
from covirt.host.config import HostConfig
from covirt.host.enrolment.errors import BadCertificate, NotEnrolled
from covirt.host.enrolment.identity import Identity
from covirt.host.findings import Finding, Verdict, missing, note
from covirt.host.surroundings import look_at_bridges, look_at_firewall, look_at_time
from covirt.host.virt.kvm_probe import KvmProbe

_STORAGE_OWNER: Final = 36
_SOCKET_SECONDS: Final = 5.0
_KVM_SECONDS: Final = 20.0
_LEAST_FREE_BYTES: Final = 1 << 30
_ENROL: Final = "covirt-host enrol --engine URL --token-file FILE"
_VIRTUALIZATION: Final = (
    "switch virtualization on in the firmware, or nested virtualization where the machine is a virtual one"
)
_PACKAGED: Final = "/usr/lib/covirt"  # where packaging/deb puts it
_IMPORT_PROGRAMS: Final = ("skopeo", "umoci", "zstd")  # Debian's packages are called so, too


def examine(root: Root, config: HostConfig) -> list[Finding]:
    """Looks only; in some seconds, for KVM is tried by booting something."""
    looks: Mapping[str, Callable[[Root, HostConfig], Iterator[Finding]]] = {
        "user": _user, "owner of storage files": _storage_owner, "libvirtd": _machines, "KVM": _kvm,
        "containers": _containers, "container images": _import_programs, "programs": _disk_programs,
        "other programs": _other_programs, "certificate": _certificate, "port": _ports, "firewall": look_at_firewall,
        "bridges": look_at_bridges, "clock": look_at_time, "space": _space,
    }  # fmt: skip
    return [finding for what, look in looks.items() for finding in _permitted(what, look(root, config))]


def _permitted(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except PermissionError as error:
        yield note(what, f"not known: {error.filename} may not be opened by this user", _as_root())


def _as_root() -> str:
    return f"sudo {Path(sys.argv[0]).name} check"


def _user(_root: Root, _config: HostConfig) -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield Finding(what="user", fact="root")
    else:
        yield missing("user", "not root, and guests need it", _as_root())


def _storage_owner(_root: Root, _config: HostConfig) -> Iterator[Finding]:
    try:
        names = f"{pwd.getpwuid(_STORAGE_OWNER).pw_name}:{grp.getgrgid(_STORAGE_OWNER).gr_name}"
    except KeyError:
        yield missing("owner of storage files", "no user and group have the id 36", "systemd-sysusers")
        return
    yield Finding(what="owner of storage files", fact=f"{names} (36:36)")


def _machines(root: Root, config: HostConfig) -> Iterator[Finding]:
    program, package = qemu_system()
    if found := shutil.which(program):
        yield Finding(what="QEMU", fact=found)
    else:
        yield missing("QEMU", "not installed", f"apt-get install {package}")
    if config.virt.qemu_uri:
        yield _untried("libvirtd", config.virt.qemu_uri)
        return
    reason = _silence(root.libvirt_dir / "libvirt-sock")
    if reason:
        mend = "apt-get install libvirt-daemon-system && systemctl enable --now libvirtd.socket"
        yield missing("libvirtd", reason, mend)
    else:
        yield Finding(what="libvirtd", fact="it answers")


def _untried(what: str, uri: str) -> Finding:
    return note(what, f"at {uri} by configuration, which is not tried here", f"virsh --connect '{uri}' version")


def _kvm(root: Root, _config: HostConfig) -> Iterator[Finding]:
    probe = KvmProbe(root.run_dir / "host")
    probe.start()
    try:
        answer = probe.wait(timeout_seconds=_KVM_SECONDS)
    finally:
        probe.stop()
    if answer.works:
        yield Finding(what="KVM", fact="a machine boots with it")
    elif not answer.tried:
        yield note("KVM", answer.reason, _as_root())
    else:
        fact = f"{answer.reason}; virtual machines are emulated, which is slow"
        yield Finding(what="KVM", fact=fact, verdict=Verdict.NOTE, remedy=_VIRTUALIZATION)


def _containers(root: Root, config: HostConfig) -> Iterator[Finding]:
    reason = "" if config.virt.oci_uri else _silence(root.libvirt_dir / "virtocid-sock")
    if not config.containers.enabled:
        yield Finding(
            what="containers",
            fact="not enabled" + (f"; virtocid: {reason}" if reason else ""),
            verdict=Verdict.NOTE,
            remedy=f'write "[containers]" and "enabled = true" to {root.config_dir / "host.d/50-containers.toml"}',
        )
    elif reason:
        yield missing("containers", f"virtocid: {reason}", "systemctl enable --now virtocid")
    elif config.virt.oci_uri:
        yield _untried("containers", config.virt.oci_uri)
    else:
        yield Finding(what="containers", fact="enabled, and virtocid answers")


def _import_programs(_root: Root, config: HostConfig) -> Iterator[Finding]:
    """What ``virtocid-image`` calls, told before the first import fails."""
    if not config.containers.enabled:
        return
    absent = [program for program in _IMPORT_PROGRAMS if not shutil.which(program)]
    if absent:
        fact = f"cannot be imported without {', '.join(absent)}"
        yield missing("container images", fact, f"apt-get install {' '.join(absent)}")
    else:
        yield Finding(what="container images", fact="can be imported")


def _disk_programs(_root: Root, config: HostConfig) -> Iterator[Finding]:
    programs = (
        ("qemu-img", "apt-get install qemu-utils"),
        ("qemu-nbd", "apt-get install qemu-utils"),
        ("setpriv", "apt-get install util-linux"),
        (
            config.images.imageio_program,
            _imageio_remedy(),
        ),
    )
    for program, remedy in programs:
        places = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
        found = shutil.which(program, path=places)
        yield Finding(what=program, fact=found) if found else missing(program, "not installed", remedy)


def _other_programs(_root: Root, _config: HostConfig) -> Iterator[Finding]:
    for program, lost, package in (
        ("udhcpc", "networks cannot have their address by DHCP", "udhcpc"),
        ("mount.nfs", "storage on NFS cannot be connected", "nfs-common"),
    ):
        found = shutil.which(program)
        if found:
            yield Finding(what=program, fact=found)
        else:
            yield note(program, f"not installed; {lost}", f"apt-get install {package}")


def _imageio_remedy() -> str:
    """Debian has no package of it: it comes as covirt did."""
    if sys.prefix == _PACKAGED:
        return "apt-get install ./covirt-imageio_*.deb, which packaging/deb/build makes beside covirt-host"
    return f"{sys.prefix}/bin/pip install ovirt-imageio"


def _certificate(root: Root, config: HostConfig) -> Iterator[Finding]:
    identity = Identity(root, root.path / config.rpc.pki_dir)
    try:
        identity.check()
        due = identity.is_due()
        mode = identity.files.key.stat().st_mode
    except PermissionError:
        raise
    except (NotEnrolled, BadCertificate, OSError) as error:
        yield missing("certificate", str(error), _ENROL)
        return
    if mode & 0o004:
        yield missing("certificate", "everybody can read its key", f"chmod o= {identity.files.key}")
    elif due:
        yield Finding(what="certificate", fact="good, but it ends soon", verdict=Verdict.NOTE, remedy=_ENROL)
    else:
        yield Finding(what="certificate", fact=str(identity.files.certificate))


def _ports(root: Root, config: HostConfig) -> Iterator[Finding]:
    listens = is_daemon_locked(root, "covirt-host")
    yield _port(config.rpc.listen, config.rpc.port, "covirt-host" if listens else None)
    if config.images.imageio_port:
        transfers = not _silence(root.run_dir / "host/imageio/sock")
        yield _port("0.0.0.0", config.images.imageio_port, "the imageio daemon" if transfers else None)  # noqa: S104


def _port(address: str, port: int, owner: str | None) -> Finding:
    """``owner``: who of ours listens there now."""
    what = f"port {port}"
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        if owner:
            return Finding(what=what, fact=f"in use, by {owner} as it seems")
        return missing(what, error.strerror or str(error), f"ss -ltnp sport = :{port}")
    return Finding(what=what, fact="free")


def _space(root: Root, _config: HostConfig) -> Iterator[Finding]:
    place = next(path for path in (root.state_dir, *root.state_dir.parents) if path.exists())
    free = shutil.disk_usage(place).free
    fact = f"{readable_size(free)} free for {root.state_dir}"
    if free < _LEAST_FREE_BYTES:
        yield missing("space", fact, f"df -h {place}")
    else:
        yield Finding(what="space", fact=fact)


def _silence(path: Path) -> str:
    """Why nobody answers at a socket; empty when somebody does. Raises PermissionError."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_SOCKET_SECONDS)
            client.connect(os.fspath(path))
    except PermissionError as error:
        raise PermissionError(error.errno, error.strerror, path) from error
    except OSError as error:
        return f"it does not answer at {path} ({error.strerror or error})"
    return ""
