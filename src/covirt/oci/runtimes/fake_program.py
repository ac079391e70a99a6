# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A program with the OCI runtime command line that isolates nothing: for tests, with or without root.

It runs the container's command as a plain process with the root file system as its directory, so monitor, recovery
and everything above behave as with a real runtime. Stands alone: it is run as a script without site packages.
"""

import array
import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import termios
from typing import Any, NoReturn

Options = dict[str, str]

_WITH_VALUE = {
    "--root", "--log", "--log-format", "--bundle", "--pid-file", "--console-socket", "--process", "--resources",
    "--format",
}  # fmt: skip
_VERSION = "1.0.0"


class Refusal(Exception):
    """What a real runtime would say."""


def main(arguments: list[str]) -> int:
    options, words = _parse(arguments)
    if "--version" in options:
        sys.stdout.write(f"fake version {_VERSION}\nspec: 1.0.2\n")
        return 0
    try:
        return _COMMANDS[words[0]](options, words[1:]) or 0
    except (Refusal, OSError, ValueError, KeyError, IndexError) as error:
        record = json.dumps({"level": "error", "msg": str(error)}) + "\n"
        if "--log" in options:
            with open(options["--log"], "a", encoding="utf-8") as stream:
                stream.write(record)
        sys.stderr.write(record)
        return 1


def _parse(arguments: list[str]) -> tuple[Options, list[str]]:
    options: Options = {}
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            words.append(word)
        elif name in _WITH_VALUE:
            options[name] = value if equals else next(rest)
        else:
            options[name] = ""
    return options, words


class _Container:
    """A directory below --root: state.json, and a fifo on which the process waits for its start."""

    def __init__(self, options: Options, container_id: str) -> None:
        self.id = container_id
        self.directory = os.path.join(options["--root"], container_id)
        self.fifo = os.path.join(self.directory, "start")

    def load(self) -> dict[str, Any]:
        try:
            with open(os.path.join(self.directory, "state.json"), encoding="utf-8") as stream:
                state: dict[str, Any] = json.load(stream)
        except FileNotFoundError:
            raise Refusal(f"container {self.id} does not exist") from None
        if not _alive(state["pid"], state["born"]):
            state["status"], state["pid"] = "stopped", 0
        return state

    def save(self, state: dict[str, Any]) -> None:
        path = os.path.join(self.directory, "state.json")
        with open(f"{path}.new", "w", encoding="utf-8") as stream:
            json.dump(state, stream)
        os.rename(f"{path}.new", path)

    def expect(self, *statuses: str) -> dict[str, Any]:
        state = self.load()
        if state["status"] not in statuses:
            raise Refusal(f"container {self.id} is {state['status']}, not {' or '.join(statuses)}")
        return state


def _create(options: Options, words: list[str]) -> None:
    container = _Container(options, words[0])
    with open(os.path.join(options["--bundle"], "config.json"), encoding="utf-8") as stream:
        config = json.load(stream)
    root = os.path.join(os.path.abspath(options["--bundle"]), config["root"]["path"])
    program = os.path.join(root, config["process"]["args"][0].lstrip("/"))
    if not os.access(program, os.X_OK):
        raise Refusal(f"exec: {config['process']['args'][0]!r}: no such file or directory")
    os.makedirs(options["--root"], exist_ok=True)
    try:
        os.mkdir(container.directory, 0o711)
    except FileExistsError:
        raise Refusal(f"container with id {container.id} exists") from None
    os.mkfifo(container.fifo)
    pid = os.fork()
    if pid == 0:
        _wait_and_execute(container, config["process"], program, root, options.get("--console-socket"))
    _write_pid(options["--pid-file"], pid)
    container.save(
        {"id": container.id, "pid": pid, "born": _born(pid), "status": "created", "bundle": options["--bundle"]}
    )


def _wait_and_execute(
    container: _Container, process: dict[str, Any], program: str, root: str, console: str | None
) -> NoReturn:
    try:
        os.setsid()
        if process.get("terminal") and console:
            _take_terminal(console)
        with open(container.fifo, encoding="ascii") as stream:  # until start opens the other end
            stream.read()
        os.chdir(root)
        environment = dict(entry.partition("=")[::2] for entry in process.get("env", []))
        os.execve(program, process["args"], environment)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{error}\n")
    os._exit(127)


def _take_terminal(console: str, size: dict[str, int] | None = None) -> None:
    master, slave = os.openpty()
    if size:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size["height"], size["width"], 0, 0))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(console)
        rights = array.array("i", [master])
        client.sendmsg([b"/dev/ptmx"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)
    os.close(slave)


def _start(options: Options, words: list[str]) -> None:
    container = _Container(options, words[0])
    state = container.expect("created")
    container.save({**state, "status": "running"})
    with open(container.fifo, "w", encoding="ascii"):
        pass


def _kill(options: Options, words: list[str]) -> None:
    state = _Container(options, words[0]).expect("created", "running", "paused")
    number = int(words[1]) if len(words) > 1 else signal.SIGTERM
    if "--all" in options:
        os.killpg(state["pid"], number)
    else:
        os.kill(state["pid"], number)


def _delete(options: Options, words: list[str]) -> None:
    container = _Container(options, words[0])
    if "--force" in options:
        with contextlib.suppress(Refusal, ProcessLookupError):
            os.killpg(container.expect("created", "running", "paused")["pid"], signal.SIGKILL)
    else:
        container.expect("stopped")
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(container.directory):
            os.unlink(os.path.join(container.directory, name))
        os.rmdir(container.directory)


def _pause(options: Options, words: list[str]) -> None:
    container = _Container(options, words[0])
    state = container.expect("created", "running")
    os.killpg(state["pid"], signal.SIGSTOP)
    container.save({**state, "status": "paused"})


def _resume(options: Options, words: list[str]) -> None:
    container = _Container(options, words[0])
    state = container.expect("paused")
    os.killpg(state["pid"], signal.SIGCONT)
    container.save({**state, "status": "running"})


def _state(options: Options, words: list[str]) -> None:
    json.dump({"ociVersion": "1.0.2", **_Container(options, words[0]).load()}, sys.stdout)


def _list(options: Options, _words: list[str]) -> None:
    names = sorted(os.listdir(options["--root"])) if os.path.isdir(options["--root"]) else []
    json.dump([_Container(options, name).load() for name in names], sys.stdout)


def _exec(options: Options, words: list[str]) -> None:
    state = _Container(options, words[0]).expect("running")
    with open(os.path.join(state["bundle"], "config.json"), encoding="utf-8") as stream:
        root = os.path.join(state["bundle"], json.load(stream)["root"]["path"])
    with open(options["--process"], encoding="utf-8") as stream:
        process = json.load(stream)
    program = _find_program(root, process)
    directory = os.path.join(root, process["cwd"].lstrip("/"))
    if not os.path.isdir(directory):
        raise Refusal(f"chdir to cwd ({process['cwd']!r}): no such file or directory")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if process.get("terminal"):
            _take_terminal(options["--console-socket"], process.get("consoleSize"))
        os.chdir(directory)
        environment = dict(entry.partition("=")[::2] for entry in process["env"])
        os.execve(program, process["args"], environment)  # noqa: S606
    _write_pid(options["--pid-file"], pid)


def _find_program(root: str, process: dict[str, Any]) -> str:
    """As execvpe does, below ``root``."""
    name = process["args"][0]
    path = dict(entry.partition("=")[::2] for entry in process["env"]).get("PATH", "/bin")
    for directory in ("",) if "/" in name else path.split(":"):
        program = os.path.join(root, directory.lstrip("/"), name.lstrip("/"))
        if os.access(program, os.X_OK) and os.path.isfile(program):
            return program
        if os.path.exists(program):
            raise Refusal(f"exec: {name!r}: permission denied")
    raise Refusal(f"exec: {name!r}: no such file or directory")


def _write_pid(path: str, pid: int) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(str(pid))


def _update(options: Options, words: list[str]) -> None:
    container = _Container(options, words[0])
    state = container.expect("created", "running", "paused")
    with open(options["--resources"], encoding="utf-8") as stream:
        container.save({**state, "resources": json.load(stream)})


def _features(_options: Options, _words: list[str]) -> None:
    json.dump({"ociVersionMin": "1.0.0", "ociVersionMax": "1.0.2", "linux": {}}, sys.stdout)


def _born(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as stream:
        return int(stream.read().rpartition(b") ")[2].split()[19])


def _alive(pid: int, born: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b") ")[2].split()
    except OSError:
        return False
    return fields[0] != b"Z" and int(fields[19]) == born


_COMMANDS: dict[str, Any] = {
    "create": _create, "start": _start, "kill": _kill, "delete": _delete, "pause": _pause, "resume": _resume,
    "state": _state, "list": _list, "exec": _exec, "update": _update, "features": _features,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
