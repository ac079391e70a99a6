# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in the demo, a sentence each."""

from covirt.common.errors import Conflict, Denied, NotFound, Unavailable


class NotRoot(Denied):
    template = "this needs root, because it makes namespaces, bridges and mounts; run sudo ./dev demo"


class ProgramsMissing(Unavailable):
    template = "not installed: {programs}; ./dev setup installs them"


class NoNamespaces(Denied):
    template = "this root may not make namespaces ({reason}); run it outside of the container you are in"


class StepFailed(Unavailable):
    """Field ``log``: the last lines of the daemon concerned, may be empty."""

    template = "it failed at the step '{step}': {reason}"


class TooLate(Unavailable):
    template = "{what} did not come within {seconds:.0f} seconds"


class WrongAnswer(Unavailable):
    template = "{who} said {answer!r}"


class NotRefused(Conflict):
    template = "{what} was not refused"


class AlreadyKept(Conflict):
    template = "a demo is running already; ./dev demo stop ends it"


class NothingKept(NotFound):
    template = "no demo is running; ./dev demo --keep starts one"


class DoesNotEnd(Unavailable):
    template = "the demo with PID {pid} does not end"
