# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is on a disc."""

import io

import pycdlib


def read_disc(path: str, *, way: str) -> dict[str, bytes]:
    """What a guest reads: by Rock Ridge ("rr_path") or by Joliet ("joliet_path")."""
    disc = pycdlib.PyCdlib()
    disc.open(path)
    found = {}
    for directory, _, files in disc.walk(**{way: "/"}):
        for name in files:
            data = io.BytesIO()
            disc.get_file_from_iso_fp(data, **{way: f"{directory.rstrip('/')}/{name}"})
            found[f"{directory.strip('/')}/{name}".lstrip("/")] = data.getvalue()
    disc.close()
    return found
