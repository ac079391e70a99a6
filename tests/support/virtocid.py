# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The real daemon with an imported busybox image, started, killed and asked by stock clients."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypedDict, Unpack
from xml.sax.saxutils import escape, quoteattr

import libvirt

from covirt.common.process import DEVNULL, Argument, Child, Completed, run, spawn
from covirt.common.root import Root
from tests.support import cgroups
from tests.support.roots import new_directory
from tests.support.waiting import wait_until

IMAGE: Final = "busybox"
# What any one call may take on a machine that is busy with other tests, or emulated.
SECONDS: Final = float(os.environ.get("COVIRT_CALL_SECONDS", "60"))
_PROGRAMS: Final = Path(sys.executable).parent
# A process that ends at SIGTERM, as a well-behaved service does.
SERVICE: Final = ("/bin/sh", "-c", "trap 'exit 0' TERM; echo serving; while :; do sleep 1000 & wait; done")
# One that does not care.
STUBBORN: Final = ("/bin/sh", "-c", "trap '' TERM; echo serving; while :; do sleep 1000; done")


@dataclass
class Virtocid:
    """A daemon on a root of its own."""

    root: Root
    log_level: str = "debug"
    program: Sequence[Argument] = (_PROGRAMS / "virtocid",)
    _child: Child | None = field(default=None, init=False)

    @property
    def uri(self) -> str:
        return f"oci+unix:///system?socket={self._socket('virtocid-sock')}"

    @property
    def readonly_uri(self) -> str:
        return f"oci+unix:///system?socket={self._socket('virtocid-sock-ro')}"

    @property
    def log_path(self) -> Path:
        return self.root.path / "virtocid.log"

    @property
    def log(self) -> str:
        """Everything the daemon has said so far, over all its lives."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def image(self) -> Path:
        """The imported image's file."""
        return self.root.images_dir / f"{IMAGE}.raw"

    def _socket(self, name: str) -> Path:
        return self.root.libvirt_dir / name

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it, and return when it serves."""
        child = self.launch()
        wait_until(
            lambda: self._answers() or child.poll() is not None, timeout_seconds=SECONDS, what="a start of virtocid"
        )
        assert child.poll() is None, f"virtocid ended with status {child.poll()}:\n{self.log}"

    def launch(self) -> Child:
        """Start it and do not wait."""
        assert not self.running
        with self.log_path.open("ab") as log:
            argv = [*self.program, "--root", self.root.path, "--log-level", self.log_level]
            self._child = spawn(argv, stdout=log, stderr=log)
        return self._child

    def _answers(self) -> bool:
        return all(_connects(self._socket(name)) for name in ("virtocid-sock-ro", "virtocid-sock"))

    def kill(self) -> None:
        """kill -9, as it may happen at any moment."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.wait(timeout_seconds=SECONDS)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._child is not None
        return self._child.stop(grace_seconds=SECONDS)

    def restart(self) -> None:
        self.kill()
        self.start()

    def virsh(self, *arguments: str, check: bool = True, readonly: bool = False) -> Completed:
        """Run the stock virsh to its end."""
        words = ["virsh", "-q", *(["-r"] if readonly else []), "-c", self.readonly_uri if readonly else self.uri]
        completed = run([*words, *arguments], timeout_seconds=SECONDS, check=False)
        if check:
            assert completed.status == 0, f"virsh {' '.join(arguments)}: {completed.stderr.decode()}\n{self.log}"
        return completed

    def virsh_running(self, *arguments: str) -> Child:
        """Start virsh and do not wait for it; a context manager that ends it."""
        return spawn(["virsh", "-q", "-c", self.uri, *arguments], stderr=DEVNULL)

    def tell(self, *arguments: str, readonly: bool = False) -> str:
        """What virsh prints, less the white space around it."""
        return self.virsh(*arguments, readonly=readonly).stdout.decode().strip()

    def image_command(self, *arguments: str) -> Completed:
        """Run virtocid-image on this root; the status is the caller's to judge."""
        argv: list[Argument] = [_PROGRAMS / "virtocid-image", *arguments, "--root", self.root.path]
        return run(argv, timeout_seconds=SECONDS, check=False)

    def exec_argv(self, name: str, *words: str) -> list[Argument]:
        """virtocid-exec in a domain; ``words`` are its options, "--", and the command."""
        return [_PROGRAMS / "virtocid-exec", "--root", self.root.path, name, *words]

    def exec(self, name: str, *words: str, stdin: bytes | None = None) -> Completed:
        """The same to its end; the status is the caller's to judge."""
        return run(self.exec_argv(name, *words), timeout_seconds=SECONDS, stdin_data=stdin, check=False)

    def logs_argv(self, name: str, *options: str) -> list[Argument]:
        return [_PROGRAMS / "virtocid-logs", "--root", self.root.path, name, *options]

    def logs(self, name: str, *options: str) -> Completed:
        """virtocid-logs to its end; the status is the caller's to judge."""
        return run(self.logs_argv(name, *options), timeout_seconds=SECONDS, check=False)

    def image_users(self) -> list[str]:
        """UUIDs of the domains that hold an image."""
        return [mark.name for mark in (self.root.state_dir / "image-users").glob("*/*")]

    def refusal(self, *arguments: str, readonly: bool = False) -> str:
        """What virsh complains of, which must be one sentence; it must fail."""
        completed = self.virsh(*arguments, check=False, readonly=readonly)
        assert completed.status != 0, f"virsh {' '.join(arguments)} succeeded: {completed.stdout.decode()}"
        lines = [line for line in completed.stderr.decode().splitlines() if line]
        # virsh puts a sentence of its own in front of the daemon's.
        assert 1 <= len(lines) <= 2, lines
        return lines[-1].removeprefix("error: ")

    @contextmanager
    def connect(self, *, readonly: bool = False) -> Iterator["libvirt.virConnect"]:
        """A connection of libvirt-python, without an event loop."""
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        connection = libvirt.openReadOnly(self.readonly_uri) if readonly else libvirt.open(self.uri)
        try:
            yield connection
        finally:
            with contextlib.suppress(libvirt.libvirtError):  # the daemon may have been killed meanwhile
                connection.close()

    def define(self, name: str, command: Sequence[str] = SERVICE, **parts: Unpack["XmlParts"]) -> str:
        """Define a domain from domain_xml(); gives its name."""
        with self.xml_file(domain_xml(name, command, **parts)) as path:
            self.virsh("define", str(path))
        return name

    def run(self, name: str, command: Sequence[str] = SERVICE, **parts: Unpack["XmlParts"]) -> str:
        """Define a domain and start it."""
        self.define(name, command, **parts)
        self.virsh("start", name)
        return name

    @contextmanager
    def xml_file(self, text: str) -> Iterator[Path]:
        path = self.root.path / "given.xml"
        path.write_text(text)
        try:
            yield path
        finally:
            path.unlink()

    def state(self, name: str) -> str:
        """``running (booted)``, ``shut off (destroyed)``, …"""
        return self.tell("domstate", "--reason", name)

    def wait_for_state(self, name: str, state: str) -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.state(name) == state, timeout_seconds=SECONDS)
        assert self.state(name) == state

    def wait_for_output(self, name: str, text: str) -> None:
        """Until the container has written this."""
        wait_until(lambda: text in self.console_log(name), timeout_seconds=SECONDS, what=f"{text!r} from {name}")

    def console_log(self, name: str) -> str:
        uuid = self.tell("domuuid", name)
        places = (self.root.state_dir / "virtocid/domains", self.root.run_dir / "virtocid/runs")
        files = [place / uuid / "console.log" for place in places]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def remove_domains(self, *, keep: Collection[str] = ()) -> None:
        """End and forget every domain but those of these UUIDs, with the help of a new daemon if need be."""
        if not self.running:
            self.start()
        with self.connect() as connection:
            for domain in connection.listAllDomains():
                if domain.UUIDString() in keep:
                    continue
                with contextlib.suppress(libvirt.libvirtError):
                    domain.destroy()
                with contextlib.suppress(libvirt.libvirtError):  # a transient one is gone by now
                    domain.undefine()
            assert {domain.UUIDString() for domain in connection.listAllDomains()} <= set(keep)

    @contextmanager
    def used_by_a_test(self) -> Iterator["Virtocid"]:
        """No domain is left after the test, and what the daemon said is shown when the test failed.

        A daemon that was started during the test would be a leak of that test, so it ends with it.
        """
        seen, before = len(self.log), self._child if self.running else None
        try:
            if not self.running:
                self.start()
            yield self
        finally:
            try:
                self.remove_domains()
                if self._child is not before:
                    self.stop()
            finally:
                sys.stdout.write(f"virtocid said:\n{self.log[seen:]}")


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(os.fspath(path)) == 0


@contextmanager
def serve_virtocid(layout: Path, *, configuration: str = "") -> Iterator[Virtocid]:
    """Run the daemon on a new root, with the image of an OCI layout imported as ``busybox``."""
    with new_directory() as path:
        daemon = Virtocid(Root(path))
        if configuration:
            (daemon.root.config_dir / "virtocid.d").mkdir(parents=True)
            (daemon.root.config_dir / "virtocid.d/test.toml").write_text(configuration)
        import_image(daemon.root, f"oci:{layout}:{IMAGE}", IMAGE)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.remove_domains()
            daemon.stop()
            for slice_group in cgroups.CGROUP_MOUNT.glob(f"**/covirt-{daemon.root.id}"):
                cgroups.remove_group(slice_group)


def import_image(root: Root, source: str, name: str) -> None:
    argv: list[Argument] = [_PROGRAMS / "virtocid-image", "import", source, "--name", name, "--root", root.path]
    run(argv, timeout_seconds=SECONDS)


class XmlParts(TypedDict, total=False):
    """What domain_xml() takes beside name and command."""

    runtime: str
    image: str
    memory_mib: int
    environment: Mapping[str, str]
    settings: str
    devices: str
    more: str


def domain_xml(
    name: str,
    command: Sequence[str] = SERVICE,
    *,
    runtime: str = "",
    image: str = IMAGE,
    memory_mib: int = 64,
    environment: Mapping[str, str] = MappingProxyType({}),
    settings: str = "",
    devices: str = "<console type='pty'/>",
    more: str = "",
) -> str:
    """A definition. ``settings`` go into <covirt:container>, ``devices`` into <devices>, ``more`` into <domain>."""
    words = "".join(f"<initarg>{escape(word)}</initarg>" for word in command[1:])
    init = f"<init>{escape(command[0])}</init>{words}" if command else ""
    variables = "".join(
        f"<initenv name={quoteattr(key)}>{escape(value)}</initenv>" for key, value in environment.items()
    )
    source = f"<covirt:image>{escape(image)}</covirt:image>" if image else ""
    chosen = f"<covirt:runtime>{runtime}</covirt:runtime>" if runtime else ""
    return f"""
<domain type='oci'>
  <name>{escape(name)}</name>
  <metadata>
    <covirt:container xmlns:covirt='https://covirt.org/xmlns/container/1.0'>
      {source}{chosen}{settings}
    </covirt:container>
  </metadata>
  <memory unit='MiB'>{memory_mib}</memory>
  <os><type>exe</type>{init}{variables}</os>{more}
  <devices>{devices}</devices>
</domain>"""


def bridge_device(bridge: str, *addresses: str, more: str = "") -> str:
    """An <interface> in a Linux bridge; ``addresses`` as ``10.77.0.5/24``."""
    lines = "".join("<ip address='{}' prefix='{}'/>".format(*address.split("/")) for address in addresses)
    return f"<interface type='bridge'><source bridge='{bridge}'/>{lines}{more}</interface>"
