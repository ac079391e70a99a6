# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Standard streams for a process in a container: three pipes, or a terminal that the runtime makes and sends."""

import contextlib
import fcntl
import os
import socket
import struct
import termios
from pathlib import Path
from typing import Final

from covirt.oci.execution_errors import TerminalMissing
from covirt.oci.runtime import TerminalSize

_CONSOLE_SECONDS: Final = 5.0


class Streams:
    """Both ends of the standard streams of one start: pipes, or a terminal that the runtime will send."""

    def __init__(self, theirs: tuple[int, int, int], ours: tuple[int, int, int]) -> None:
        self.theirs = theirs
        self.stdin, self.stdout, self.stderr = ours
        self.console_socket: Path | None = None
        self._listener: socket.socket | None = None
        self._directory = -1  # open as long as the listener: a runtime may send the terminal after its own end

    @classmethod
    def make(cls, directory: Path, given_away: contextlib.ExitStack, *, terminal: bool) -> "Streams":
        """Their ends are closed with ``given_away``."""
        # Pipes, and never /dev/null: runtimes give the standard streams to the container's user (see null_device).
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        for descriptor in theirs:
            given_away.callback(os.close, descriptor)
        ours = (pipes[0][1], pipes[1][0], pipes[2][0])
        if not terminal:
            return cls(theirs, ours)
        for descriptor in ours:  # the runtime itself still wants streams
            given_away.callback(os.close, descriptor)
        streams = cls(theirs, (-1, -1, -1))
        streams._listen(directory)
        return streams

    def _listen(self, directory: Path) -> None:
        # By our descriptor of the directory, because a socket's path may have 107 bytes and a root is longer.
        self._directory = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.console_socket = Path(f"/proc/{os.getpid()}/fd/{self._directory}/console")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(os.fspath(self.console_socket))
        self._listener.listen(1)

    def take_terminal(self, size: TerminalSize | None) -> None:
        """Receive the terminal that the runtime has sent. Raises TerminalMissing."""
        if self._listener is None or size is None:
            return
        self._listener.settimeout(_CONSOLE_SECONDS)
        try:
            with self._listener.accept()[0] as sender:
                sender.settimeout(_CONSOLE_SECONDS)
                descriptors = socket.recv_fds(sender, 4096, 1)[1]
            self.stdout = descriptors[0]
            os.set_inheritable(self.stdout, False)
            self.stdin = fcntl.fcntl(self.stdout, fcntl.F_DUPFD_CLOEXEC, 3)
            set_terminal_size(self.stdout, size)
        except (OSError, IndexError) as error:
            raise TerminalMissing(reason=error) from error
        finally:
            self._stop_listening()

    def close(self) -> None:
        self._stop_listening()
        for descriptor in (self.stdin, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.stdin = self.stdout = self.stderr = -1

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._directory >= 0:
            os.close(self._directory)
        self._directory = -1


def set_terminal_size(terminal: int, size: TerminalSize) -> None:
    """Who reads the terminal is told by SIGWINCH."""
    words = struct.pack("HHHH", size.rows, size.columns, 0, 0)  # struct winsize, ioctl_tty(2)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, words)
