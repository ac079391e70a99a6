# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a host cannot be enrolled."""

from covirt.common.errors import Denied, InvalidRequest, NotFound, Unavailable


class BadToken(InvalidRequest):
    template = "the token is not one of an engine's: {reason}; make a new one in the engine and copy all of it"


class NoTokenFile(NotFound):
    template = "the token cannot be read from {path}: {reason}; name the file with --token-file, or - to type it"


class BadEngineUrl(InvalidRequest):
    template = "{url!r} is no engine's address; give one like https://engine.example.com"


class BadHostName(InvalidRequest):
    template = "{name!r} is no name for a certificate; give the host's name in ASCII, or its address, with --name"


class WrongAuthority(Denied):
    template = (
        "what answers at {url} is not the engine that made the token (its certificate authority is another one); "
        "nothing secret was sent to it"
    )


class TokenRefused(Denied):
    template = "the engine refuses the host: {reason}; make a new token in the engine"


class EngineUnreachable(Unavailable):
    template = "the engine at {url} cannot be used: {reason}; see that it runs and can be reached from here"


class BadCertificate(InvalidRequest):
    template = "the certificate {source} cannot be used: {reason}"


class NotEnrolled(NotFound):
    template = "this host has no certificate in {directory}; run covirt-host enrol --engine URL --token-file FILE"
