# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The client of the tests of covirt-host: it ends when its host does, whatever that said last."""

import socket
import threading
from pathlib import Path

import pytest
from stomp.exception import ConnectFailedException

from covirt.rpc.tls import TlsFiles, server_context
from tests.support.authority import TestAuthority
from tests.support.covirt_host import HostClient

_CONNECTED = b"CONNECTED\nversion:1.2\n\n\x00"


@pytest.mark.parametrize("answer", [b"", _CONNECTED])
def test_a_host_that_leaves_without_a_word(tmp_path: Path, answer: bytes) -> None:
    """As a killed one: stomp.py's thread would read that end again and again, for ever."""
    files = TestAuthority().issue(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = threading.Thread(target=_answer_and_leave, args=(listener, files, answer), name="host")
        host.start()
        client = HostClient(tmp_path, listener.getsockname()[1])
        if answer:
            client.open()
        else:
            with pytest.raises(ConnectFailedException):
                client.open()
        host.join()
        client.close()


def _answer_and_leave(listener: socket.socket, files: TlsFiles, answer: bytes) -> None:
    plain, _ = listener.accept()
    with server_context(files).wrap_socket(plain, server_side=True) as connection:
        connection.recv(4096)
        connection.sendall(answer)
        if answer:
            connection.recv(4096)  # the first subscription; leaving what else came unread resets the connection
