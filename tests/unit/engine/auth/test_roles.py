# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The permits and roles that clients know from oVirt."""

from covirt.engine.auth.permits import PERMITS, Right
from covirt.engine.auth.roles import ROLES


def test_numbers_and_names_are_each_used_once() -> None:
    assert len({permit.id for permit in PERMITS}) == len(PERMITS) == len({permit.name for permit in PERMITS})
    assert len({role.id for role in ROLES}) == len(ROLES) == len({role.name for role in ROLES})


def test_a_users_role_has_what_a_user_may_have() -> None:
    """oVirt's own exceptions: what lets use CPU profiles and MAC pools counts as administrative there."""
    administrative = {permit.id for permit in PERMITS if permit.administrative}
    exceptions = {
        str(right.number)
        for right in (
            Right.DELETE_CPU_PROFILE,
            Right.UPDATE_CPU_PROFILE,
            Right.CREATE_CPU_PROFILE,
            Right.ASSIGN_CPU_PROFILE,
            Right.CONFIGURE_MAC_POOL,
            Right.REDUCE_DISK,
            Right.BACKUP_DISK,
            Right.INJECT_EXTERNAL_EVENTS,
            Right.INJECT_EXTERNAL_TASKS,
        )
    }
    for role in ROLES:
        if not role.administrative:
            assert not (role.permit_ids & administrative) - exceptions, role.name


def test_what_oVirts_documents_say_of_some_roles() -> None:  # noqa: N802 - its name
    roles = {role.name: role for role in ROLES}
    rights = {
        name: {right for right in Right if str(right.number) in role.permit_ids} for name, role in roles.items()
    }
    assert set(Right) - rights["SuperUser"] == {Right.CREATE_INSTANCE, Right.EDIT_PROFILE}
    assert rights["ReadOnlyAdmin"] == {Right.LOGIN}
    assert {Right.RUN_VM, Right.STOP_VM, Right.CONNECT_TO_VM} <= rights["UserRole"]
    assert Right.CREATE_VM not in rights["UserRole"]
    assert not roles["VmCreator"].shows_contents
    assert roles["UserVmManager"].shows_contents
    assert not any(role.mutable for role in ROLES)
