# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The container image of the demo: busybox with a web server, a shell on the console, and a look at the neighbour."""

from pathlib import Path
from typing import Final

from tests.support.oci_layout import Image, busybox_image, directory_entry, file_entry, layer, write_layout

TAG: Final = "hello"
PAGE: Final = "hello from a container"
# Fetches the page of the address behind the question mark: what it answers came from there to here.
NEIGHBOUR: Final = "/cgi-bin/neighbour"

_START: Final = """#!/bin/sh
# The container's first process: a web server, and a shell for whoever opens the console.
trap 'exit 0' TERM
httpd -h /www
while :; do
    sh -i <&1 &
    wait $!
done
"""
_NEIGHBOUR: Final = """#!/bin/sh
echo 'Content-Type: text/plain'
echo
wget -q -O - "http://$QUERY_STRING/"
"""


def write_image(directory: Path) -> Path:
    """An OCI image layout with the image under TAG."""
    ours = layer(
        file_entry("start", _START.encode(), mode=0o755),
        file_entry("www/index.html", f"{PAGE}\n".encode()),
        directory_entry("www/cgi-bin"),
        file_entry(f"www{NEIGHBOUR}", _NEIGHBOUR.encode(), mode=0o755),
    )
    return write_layout(directory, {TAG: _image(ours)})


def _image(ours: bytes) -> Image:
    return busybox_image(more_layers=[ours], Cmd=["/start"], ExposedPorts={"80/tcp": {}}, StopSignal="SIGTERM")
