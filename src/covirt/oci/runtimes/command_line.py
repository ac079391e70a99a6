# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The one driver for every program with the OCI runtime command line."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from covirt.common.errors import Error
from covirt.common.files import make_directory
from covirt.common.process import (
    PIPE,
    Argument,
    CommandMissing,
    Completed,
    base_environment,
    run,
    spawn,
)
from covirt.oci.runtime import (
    ContainerStatus,
    RuntimeCommand,
    RuntimeConfig,
    RuntimeInfo,
    RuntimeState,
)
from covirt.oci.runtimes import probe
from covirt.oci.runtimes.differences import differences_of
from covirt.oci.runtimes.errors import (
    BadRuntimeAnswer,
    ContainerExists,
    ContainerInWrongState,
    ContainerMissing,
    CreateFailed,
    OperationUnsupported,
    RuntimeFailed,
)
from covirt.oci.runtimes.messages import runtime_message

# Far above what any operation takes; a runtime that exceeds it hangs.
TIMEOUT_SECONDS: Final = 60.0


class CommandLineRuntime:
    """runc, crun and their like. Holds no state of its own: the program keeps it under ``state_dir``."""

    def __init__(self, config: RuntimeConfig, *, state_dir: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.config = config
        self.kind = config.kind or config.name
        self.state_dir = state_dir.absolute()  # crun resolves relative paths against the bundle
        self._differences = differences_of(self.kind)
        self._timeout_seconds = timeout_seconds

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def keeps_limits(self) -> bool:
        return self._differences.keeps_limits

    def command(self) -> RuntimeCommand:
        path = shutil.which(self.config.path, path=base_environment()["PATH"])
        if path is None:
            raise CommandMissing(program=self.config.path, reason=probe.missing_reason(self.config.path))
        make_directory(self.state_dir)
        return RuntimeCommand(
            name=self.name,
            path=os.path.abspath(path),
            arguments=(*self.config.arguments, f"--root={self.state_dir}"),
        )

    def probe(self) -> RuntimeInfo:
        return probe.probe(self.config, self.kind)

    def create(self, container_id: str, *, bundle: Path, pid_file: Path, console_socket: Path | None = None) -> None:
        if (self.state_dir / container_id).exists():
            raise ContainerExists(runtime=self.name, container_id=container_id)
        with self._scratch() as scratch:
            # A log file, because whoever holds our end of a stderr pipe would wait for the container's end.
            log = scratch / "log"
            command = self.command().with_log(log)
            argv: list[Argument] = [command.path, *command.arguments, "create"]
            argv += ["--bundle", bundle.absolute(), "--pid-file", pid_file.absolute()]
            if console_socket is not None:
                argv += ["--console-socket", console_socket.absolute()]
            # Never /dev/null: crun 1.8 gives its stdio to the container's root, and that would be the host's device.
            with (
                open(scratch / "output", "wb") as output,
                spawn([*argv, container_id], stdin=PIPE, stdout=output, stderr=output, own_group=True) as child,
            ):
                status = child.wait(timeout_seconds=self._timeout_seconds)
            if status == 0:
                return
            message = runtime_message(log.read_text(errors="replace") if log.exists() else "")
        with contextlib.suppress(Error):
            self.delete(container_id, force=True)
        raise CreateFailed(
            runtime=self.name, operation="create", container_id=container_id, message=message or f"status {status}"
        )

    def start(self, container_id: str) -> None:
        self._operate("start", [container_id], container_id)

    def kill(self, container_id: str, signal: int, *, all_processes: bool = False) -> None:
        options = ["--all"] if all_processes else []
        self._operate("kill", [*options, container_id, str(int(signal))], container_id)

    def delete(self, container_id: str, *, force: bool = False) -> None:
        options = ["--force"] if force else []
        try:
            self._operate("delete", [*options, container_id], container_id)
        except ContainerMissing:
            if not force:
                raise

    def pause(self, container_id: str) -> None:
        self._operate("pause", [container_id], container_id)

    def resume(self, container_id: str) -> None:
        self._operate("resume", [container_id], container_id)

    def state(self, container_id: str) -> RuntimeState:
        completed = self._call("state", [container_id])
        if completed.status != 0:
            message = runtime_message(completed.complaint)
            if not (self.state_dir / container_id).exists() or "does not exist" in message:
                raise ContainerMissing(runtime=self.name, container_id=container_id)
            raise RuntimeFailed(runtime=self.name, operation="state", container_id=container_id, message=message)
        return self._parse_state(self._json("state", completed.stdout))

    def list(self) -> tuple[RuntimeState, ...]:
        completed = self._call("list", ["--format", "json"])
        if completed.status != 0:
            message = runtime_message(completed.complaint)
            raise RuntimeFailed(runtime=self.name, operation="list", container_id="*", message=message)
        # runc prints "null" for none
        return tuple(self._parse_state(entry) for entry in self._json("list", completed.stdout) or ())

    def exec_detached(
        self, container_id: str, *, process_file: Path, pid_file: Path, log: Path, console_socket: Path | None
    ) -> tuple[Argument, ...]:
        command = self.command().with_log(log)
        options: list[Argument] = ["--detach", "--process", process_file, "--pid-file", pid_file]
        if console_socket is not None:
            options += ["--console-socket", console_socket]
        return (command.path, *command.arguments, "exec", *options, container_id)

    def explain_exec(self, container_id: str, log: Path) -> Error:
        message = runtime_message(log.read_text(errors="replace") if log.exists() else "")
        try:
            self._explain("exec", container_id, message or "it said nothing")
        except Error as error:
            return error

    def update(self, container_id: str, resources: Mapping[str, Any]) -> None:
        document = {key: dict(value) for key, value in resources.items()}
        memory = document.get("memory", {})
        if self._differences.memory_limit_needs_swap and "limit" in memory and probe.counts_swap():
            memory.setdefault("swap", memory["limit"])
        with self._scratch() as scratch:
            path = scratch / "resources.json"
            path.write_text(json.dumps(document))
            self._operate("update", ["--resources", os.fspath(path), container_id], container_id)

    def events(self, container_id: str) -> Mapping[str, Any]:
        if not self._differences.has_events:
            raise OperationUnsupported(runtime=self.name, operation="events")
        completed = self._operate("events", ["--stats", container_id], container_id)
        record: dict[str, Any] = self._json("events", completed.stdout)
        return record

    def _call(self, operation: str, arguments: Sequence[str]) -> Completed:
        command = self.command()
        argv = [command.path, *command.arguments, operation, *arguments]
        return run(argv, timeout_seconds=self._timeout_seconds, check=False)

    def _operate(self, operation: str, arguments: Sequence[str], container_id: str) -> Completed:
        completed = self._call(operation, arguments)
        if completed.status != 0:
            self._explain(operation, container_id, runtime_message(completed.complaint))
        return completed

    def _explain(self, operation: str, container_id: str, message: str) -> NoReturn:
        """Raise what a failure means. Programs word refusals differently, so the container's state decides."""
        state = self.state(container_id)
        wanted: Mapping[str, tuple[ContainerStatus, ...]] = {
            "start": (ContainerStatus.CREATED,),
            "kill": (ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED),
            "exec": (ContainerStatus.RUNNING,),
            "pause": (ContainerStatus.CREATED, ContainerStatus.RUNNING),
            "resume": (ContainerStatus.PAUSED,),
            "delete": (ContainerStatus.STOPPED,),
        }
        fields = {"runtime": self.name, "operation": operation, "container_id": container_id, "message": message}
        if operation in wanted and state.status not in wanted[operation]:
            raise ContainerInWrongState(status=state.status, **fields)
        raise RuntimeFailed(**fields)

    def _json(self, operation: str, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadRuntimeAnswer(runtime=self.name, operation=operation, reason=error) from error

    def _parse_state(self, entry: Mapping[str, Any]) -> RuntimeState:
        try:
            status = ContainerStatus(entry["status"])
            pid = int(entry.get("pid") or 0)
            return RuntimeState(
                container_id=entry["id"],
                status=status,
                pid=pid if pid > 0 and status is not ContainerStatus.STOPPED else None,
                bundle=Path(entry["bundle"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise BadRuntimeAnswer(runtime=self.name, operation="state", reason=error) from error

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A private directory for one call's files; process environments may hold secrets."""
        parent = self.state_dir.parent
        make_directory(parent)
        with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=parent) as name:
            yield Path(name)
