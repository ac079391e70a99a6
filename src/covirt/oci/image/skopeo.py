# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program skopeo: one function for each of its commands we use.

Its signature policy stays on: nothing here can pass --insecure-policy. Credentials reach it only as a file's name.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from covirt.common.process import CommandTimeout, Completed, run, spawn
from covirt.oci.image.errors import BadCredentialsFile, BadPolicy, BadSource, RegistryUnreachable, UnreadableSource
from covirt.oci.image.model import BadConfig, json_object
from covirt.oci.image.options import ImportOptions
from covirt.oci.image.reference import Scheme, Source, scrub
from covirt.oci.image.shown_file import showing
from covirt.oci.image.skopeo_errors import translate

_INSPECT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1
# What reaches a registry through a proxy or a private authority; nothing here is a secret of ours to log.
_PASSED: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
                  "SSL_CERT_DIR", "XDG_RUNTIME_DIR")  # fmt: skip


def check_options(source: Source, options: ImportOptions) -> None:
    """Refuse files that skopeo would silently do without. Raises BadCredentialsFile, BadPolicy, BadSource."""
    name = scrub(source.text)
    if options.authfile is not None:
        try:
            if not isinstance(json.loads(options.authfile.read_bytes()), dict):
                raise BadCredentialsFile(source=name, reason=f"{options.authfile} holds no JSON object")
        except OSError as error:
            raise BadCredentialsFile(source=name, reason=f"{options.authfile}: {error.strerror}") from error
        except ValueError as error:
            raise BadCredentialsFile(source=name, reason=f"{options.authfile} holds no JSON") from error
    if not os.access(options.policy, os.R_OK):
        raise BadPolicy(
            source=name, reason=f"{options.policy} is not readable; install containers-common, or give --policy"
        )
    if options.cert_dir is not None and not options.cert_dir.is_dir():
        raise BadSource(source=name, reason=f"the certificate directory {options.cert_dir} does not exist")


def inspect_manifest(source: Source, options: ImportOptions, *, work_dir: Path) -> Mapping[str, Any]:
    """The manifest, or the index of a multi-architecture image, as the source holds it."""
    return _inspect(source, options, "--raw", work_dir=work_dir)


def inspect_config(source: Source, options: ImportOptions, *, work_dir: Path) -> Mapping[str, Any]:
    """The OCI image configuration, chosen for this host's architecture out of an index."""
    return _inspect(source, options, "--config", work_dir=work_dir)


def copy(
    source: Source,
    options: ImportOptions,
    *,
    work_dir: Path,
    layout: Path,
    lock_descriptor: int,
    watch: Callable[[int], None],
) -> None:
    """Copy into the OCI layout ``layout`` under the tag "image", layers as they are.

    ``watch`` is told the bytes that have arrived. The child inherits ``lock_descriptor``, so that nobody clears
    the work directory while it still writes there. Raises what skopeo_errors.translate gives, or RegistryUnreachable.
    """
    argv = [
        *_program(source, options, work_dir), "copy", "--quiet",
        "--dest-oci-accept-uncompressed-layers",
        *_reach(source, options, "src-"),
        source.skopeo_name, f"oci:{layout}:image",
    ]  # fmt: skip
    log = work_dir / "skopeo.log"
    with (
        log.open("wb") as stderr,
        spawn(
            argv, stderr=stderr, environment=_environment(), pass_descriptors=(lock_descriptor,), own_group=True
        ) as child,
    ):
        arrived, since = -1, time.monotonic()
        while True:
            try:
                status = child.wait(timeout_seconds=_POLL_SECONDS)
                break
            except CommandTimeout:
                now = tree_bytes(layout) + tree_bytes(work_dir / "download")
            if now != arrived:
                arrived, since = now, time.monotonic()
                watch(now)
            elif time.monotonic() - since > options.stall_seconds:
                reason = f"no byte arrived for {options.stall_seconds:.0f} seconds"
                raise RegistryUnreachable(source=scrub(source.text), reason=reason)
    if status != 0:
        raise translate(log.read_text(errors="replace"), source=source, work_dir=work_dir)
    watch(tree_bytes(layout))


def tree_bytes(directory: Path) -> int:
    """The sizes of all files below, as far as they can be seen while others write them."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _program(source: Source, options: ImportOptions, work_dir: Path) -> list[str]:
    download = work_dir / "download"
    download.mkdir(exist_ok=True)
    shown = []
    if source.open_file is not None and source.path is not None:
        shown = showing(source.open_file, source.path)
    return [*shown, "setpriv", "--pdeathsig", "KILL", "--",
            "skopeo", "--policy", str(options.policy), "--tmpdir", str(download)]  # fmt: skip


def _reach(source: Source, options: ImportOptions, prefix: str) -> list[str]:
    if source.scheme is not Scheme.REGISTRY:
        return []
    argv = []
    if options.authfile is not None:
        argv += [f"--{prefix}authfile", str(options.authfile)]
    if options.cert_dir is not None:
        argv += [f"--{prefix}cert-dir", str(options.cert_dir)]
    if not options.tls_verify:
        argv += [f"--{prefix}tls-verify=false"]
    return argv


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def _inspect(source: Source, options: ImportOptions, what: str, *, work_dir: Path) -> Mapping[str, Any]:
    argv = [*_program(source, options, work_dir), "inspect", what, *_reach(source, options, ""), source.skopeo_name]
    try:
        completed: Completed = run(argv, timeout_seconds=_INSPECT_SECONDS, environment=_environment(), check=False)
    except CommandTimeout as error:
        raise RegistryUnreachable(source=scrub(source.text), reason="it took too long to answer") from error
    if completed.status != 0:
        raise translate(completed.stderr.decode(errors="replace"), source=source, work_dir=work_dir)
    try:
        return json_object(completed.stdout)
    except BadConfig as error:
        raise UnreadableSource(source=scrub(source.text), reason=f"its manifest is not valid: {error}") from error
