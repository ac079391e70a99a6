# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The values that a container is given, for the time of its start."""

from dataclasses import dataclass, field

from covirt.oci.secret_files import SecretFile
from covirt.virtocid.driver.domain_xml.model_secrets import GivenSecret
from covirt.virtocid.driver.secrets.errors import SecretIsNoText
from covirt.virtocid.driver.secrets.model import SecretConfig
from covirt.virtocid.driver.secrets.secrets import Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretValues:
    """Never written down but where the container has them."""

    files: tuple[SecretFile, ...] = ()
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def values_of(given: tuple[GivenSecret, ...], secrets: Secrets) -> SecretValues:
    """Raises NoSuchSecret, SeveralSecrets, NoSecretValue, SecretIsNoText, BrokenFile."""
    files: list[SecretFile] = []
    environment: list[tuple[str, str]] = []
    for each in given:
        config = secrets.named(uuid=each.uuid, usage_id=each.usage)
        value = secrets.value(config)
        if each.environment is not None:
            environment.append((each.environment, _text(value, config)))
        elif each.path is not None:
            files.append(SecretFile(destination=each.path, value=value, mode=each.mode, uid=each.uid, gid=each.gid))
    return SecretValues(files=tuple(files), environment=tuple(environment))


def _text(value: bytes, config: SecretConfig) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # Not from the error, which holds the value.
        raise SecretIsNoText(name=config.label) from None
    return text
