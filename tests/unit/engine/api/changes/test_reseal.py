# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the database has sealed, after a new key."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from covirt.engine.commands.secrets.secrets import reseal
from covirt.engine.model.hardware import Initialization
from covirt.engine.model.secret import Secret
from covirt.engine.store.store import Store
from covirt.engine.vault.sealing import SEALED, open_initialization, seal_initialization
from covirt.engine.vault.vault import Vault


def test_a_new_key_seals_everything_anew(store: Store, tmp_path: Path) -> None:
    """Machines' first settings, too; those of before they were sealed are sealed now."""
    path, given = tmp_path / "keys.json", Initialization(root_password="pepper", custom_script="a: b")  # noqa: S106
    first = Vault.open(path)
    with store.write() as session:
        value, now = first.seal("one", b"salt"), datetime.now(UTC)
        session.secrets.add(
            Secret(id="one", name="jar", created=now, changed=now, key_id=first.current, sealed=value)
        )
        for vm in session.vms.list():
            initialization = seal_initialization(first, given)
            session.vms.update(replace(vm, hardware=replace(vm.hardware, initialization=initialization)))
        for template in session.templates.list():
            session.templates.update(replace(template, hardware=replace(template.hardware, initialization=given)))
    Vault.renew(path)
    vault = Vault.open(path)
    with store.write() as session:
        reseal(session, vault)
    with store.read() as session:
        assert [vault.open_secret(each) for each in session.secrets.list()] == [b"salt"]
        assert {each.key_id for each in session.secrets.list()} == {vault.current}
        hardware = [vm.hardware for vm in session.vms.list()]
        hardware += [template.hardware for template in session.templates.list()]
    for one in hardware:
        assert one.initialization is not None
        assert one.initialization.root_password.startswith(f"{SEALED}{vault.current}:")
        assert open_initialization(vault, one.initialization) == given
