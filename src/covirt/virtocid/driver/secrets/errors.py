# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a secret; its value is in none of the sentences."""

from covirt.common.errors import Conflict, Denied, InvalidRequest, NotFound


class NoSuchSecret(NotFound):
    template = "Secret not found: no secret with matching {key} '{value}'"


class NoSecretValue(NotFound):
    template = "Secret not found: secret {name} does not have a value; give it one with virsh secret-set-value"


class SecretIsPrivate(Denied):
    template = "Invalid secret: secret is private"


class SecretExists(Conflict):
    template = (
        "internal error: a secret with UUID {uuid} is already defined for use with {usage}; "
        "define it with its UUID and its usage, or undefine it first"
    )


class PrivacyFixed(Conflict):
    template = (
        "internal error: cannot change private flag on existing secret {uuid}: its value would be told then; "
        "undefine it first"
    )


class SeveralSecrets(InvalidRequest):
    template = "there are several secrets with the usage '{usage}' ({uuids}); name one by its uuid"


class SecretIsNoText(InvalidRequest):
    template = "the value of secret {name} is no text, and cannot be a variable's; give it as a file"
