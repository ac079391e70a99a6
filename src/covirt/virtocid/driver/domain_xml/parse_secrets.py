# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write <covirt:secret>."""

import posixpath
import re
from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_secrets import GivenSecret
from covirt.virtocid.driver.domain_xml.node import Node

_TAG: Final = f"{{{COVIRT_NAMESPACE}}}secret"
_DIRECTORY: Final = "/run/secrets"
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_.+-]{1,200}")
_LAST_ID: Final = 2**32 - 2  # the next one means "none" to the kernel
_MOST: Final = 128  # far above use; all of them are in memory


def read_secrets(node: Node) -> tuple[GivenSecret, ...]:
    """The children of <covirt:container>."""
    secrets: list[GivenSecret] = []
    taken: set[str] = set()
    for child in node.children(_TAG):
        secret = _read(child)
        child.close()
        place = secret.path or f"${secret.environment}"
        if place in taken:
            raise child.invalid(f"another secret is given as {place}")
        if len(secrets) == _MOST:
            raise child.invalid(f"a container is given at most {_MOST} secrets")
        taken.add(place)
        secrets.append(secret)
    return tuple(secrets)


def write_secrets(secrets: tuple[GivenSecret, ...]) -> list[etree._Element]:
    """What read_secrets() reads."""
    return [_write(secret) for secret in secrets]


def _read(node: Node) -> GivenSecret:
    if node.raw_text.strip():
        raise node.invalid("a secret has no text here; its value is given with virsh secret-set-value")
    uuid, usage = node.attribute("uuid", values.uuid), node.attribute("usage", _usage)
    if (uuid is None) == (usage is None):
        raise node.invalid("name the secret by its uuid or by the id of its usage, one of both")
    environment = node.attribute("environment", values.environment_name)
    path = node.attribute("path", _path)
    if environment is not None:
        if path is not None:
            raise node.invalid("a secret is given in a file or in a variable; write it twice for both")
        return GivenSecret(uuid=uuid, usage=usage, environment=environment)
    if path is None:
        if usage is None or not _FILE_NAME.fullmatch(usage) or usage in (".", ".."):
            raise node.invalid("say where it goes: its usage is no file name, so it needs a path or an environment")
        path = f"{_DIRECTORY}/{usage}"
    mode, uid, gid = node.attribute("mode", _mode), node.attribute("uid", _id), node.attribute("gid", _id)
    return GivenSecret(uuid=uuid, usage=usage, path=path, mode=0o400 if mode is None else mode, uid=uid, gid=gid)


def _write(secret: GivenSecret) -> etree._Element:
    element = etree.Element(_TAG, nsmap={"covirt": COVIRT_NAMESPACE})
    said: dict[str, object | None] = {"uuid": secret.uuid, "usage": secret.usage}
    if secret.environment is not None:
        said |= {"environment": secret.environment}
    else:
        said |= {"path": secret.path, "mode": f"{secret.mode:04o}", "uid": secret.uid, "gid": secret.gid}
    for name, value in said.items():
        if value is not None:
            element.set(name, str(value))
    return element


def _usage(text: str) -> str:
    return values.one_line(values.not_empty(text)).strip()


def _path(text: str) -> str:
    path = values.absolute_path(text)
    if path.endswith("/") or posixpath.normpath(path) != path:
        raise ValueError(f"{text!r} is not the path of a file, such as {_DIRECTORY}/name")
    return path


def _mode(text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"{text!r} is not a mode such as 0400: a secret is read, and has no other bits")
    return int(text, 8)


def _id(text: str) -> int:
    return values.integer(0, _LAST_ID)(text)
