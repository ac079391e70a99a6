# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What Vdsm's hooks do. Vdsm gives a file and reads it again; status 2 and a sentence on stderr refuse."""

import json
import os
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, Optional

from covirt_vdsm import dialect, domain_xml, properties, settings

_XML_FILE: Final = "_hook_domxml"
_JSON_FILE: Final = "_hook_json"
_REFUSED: Final = 2
# With anything else Vdsm refuses the start or the migration. What is on stderr goes to its log in any case.
_GO_ON: Final = 0
# Below the time that Vdsm's callers wait for capabilities, and much more than virtocid takes.
_ANSWER_SECONDS: Final = 5.0
# As covirt-host calls it, so that an engine need not know what the host runs.
FEATURE: Final = "CONTAINERS"
_RUNTIME: Final = f"{{{dialect.COVIRT_NAMESPACE}}}runtimes/{{{dialect.COVIRT_NAMESPACE}}}runtime"


class Refused(Exception):
    """Vdsm shows the sentence as the reason."""


def run(hook: Callable[[], None]) -> NoReturn:
    """Ends the process at once: a thread that is stuck in a stuck daemon does not keep Vdsm waiting."""
    status = _GO_ON
    try:
        hook()
    except (Refused, properties.BadProperty) as error:
        sys.stderr.write(f"covirt: {error}\n")
        status = _REFUSED
    except Exception as error:  # noqa: BLE001  # a bug of ours stops no machine, and starts no container as one
        sys.stderr.write(f"covirt: the hook failed: {type(error).__name__}: {error}\n")
        status = _REFUSED if _may_be_container() else _GO_ON
    sys.stderr.flush()
    os._exit(status)


def _may_be_container() -> bool:
    """Asked when nothing is certain any more."""
    if dialect.TYPE_PROPERTY in os.environ:
        return True
    try:
        return dialect.CONTAINER_NAMESPACE.encode() in Path(os.environ[_XML_FILE]).read_bytes()
    except (KeyError, OSError):
        return False


def before_vm_start() -> None:
    """Machines pass as they are. Raises Refused, BadProperty."""
    path = Path(os.environ[_XML_FILE])
    text = path.read_text(encoding="utf-8")
    asked = dialect.TYPE_PROPERTY in os.environ
    root = _container(text) if not asked else _read(text)
    if root is None:
        return
    reason = why_off()
    if reason:
        raise Refused(f"this is a container, and {reason}; it cannot start on this host")
    domain_xml.make_container(root, properties.read(os.environ, domain_xml.drives(root)))
    path.write_text(ET.tostring(root, encoding="unicode"), encoding="utf-8")


def refuse_containers() -> None:
    """For what can be done with machines only, before anything is begun. Raises Refused."""
    if _container(Path(os.environ[_XML_FILE]).read_text(encoding="utf-8")) is not None:
        raise Refused("a container stays on its host: it is not migrated; stop it, and start it elsewhere")


def after_get_caps() -> None:
    """Tell what the host can do, when it can; else leave what Vdsm said."""
    if why_off():
        return
    runtimes = _runtimes()
    if not any(facts["usable"] for facts in runtimes.values()):
        return
    path = Path(os.environ[_JSON_FILE])
    capabilities = json.loads(path.read_text(encoding="utf-8"))
    capabilities["containers"] = True
    capabilities["containerRuntimes"] = runtimes
    features = capabilities.setdefault("additionalFeatures", [])
    if FEATURE not in features:
        features.append(FEATURE)
    path.write_text(json.dumps(capabilities), encoding="utf-8")


def why_off() -> str:
    """Why containers are off on this host; empty when they are on."""
    try:
        if not settings.load().enabled:
            return "containers are not enabled in /etc/covirt/vdsm-addon.conf"
    except settings.BadSettings as error:
        return str(error)
    if settings.ACTIVE not in os.environ:
        return "the add-on is not part of the running Vdsm (restart vdsmd, then see its journal)"
    return ""


def _container(text: str) -> Optional[ET.Element]:
    try:
        return dialect.container_in(text)
    except ValueError as error:
        raise Refused(f"the domain's XML cannot be used: {error}") from error


def _read(text: str) -> ET.Element:
    try:
        return dialect.read(text)
    except ValueError as error:
        raise Refused(f"the domain's XML cannot be used: {error}") from error


def _runtimes() -> dict[str, dict[str, object]]:
    """By name; asked with the rights that Vdsm has, so that what is told is what will work."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_ask_capabilities()), name="covirt-call", daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    if not answers or not answers[0]:
        sys.stderr.write("covirt: virtocid does not answer, so the host has no containers now\n")
        return {}
    return {
        each.get("name", ""): {
            "version": each.get("version", ""),
            "usable": each.get("usable") == "yes",
            "default": each.get("default") == "yes",
            "reason": each.get("reason", ""),
        }
        for each in dialect.read(answers[0]).iterfind(_RUNTIME)
    }


def _ask_capabilities() -> str:
    import libvirt  # a hook that only looks at a machine's XML does without

    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.open(settings.load().uri)
        try:
            return str(connection.getCapabilities())
        finally:
            connection.close()
    except libvirt.libvirtError as error:
        sys.stderr.write(f"covirt: {error}\n")
        return ""
