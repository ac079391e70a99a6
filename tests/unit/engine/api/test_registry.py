# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every collection lists, every member that is listed is got, and links lead somewhere."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml import etree
from starlette.testclient import TestClient

from covirt.engine.api.codec.table import SERVICES, TYPES
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.registered import REGISTRY
from covirt.engine.api.services import API_PATH
from covirt.engine.store.searchable import SEARCHABLE
from tests.support.engine_samples import ADMIN_ID


def _tree(api: TestClient, base: str, collections: tuple[Collection, ...]) -> Iterator[tuple[str, Collection, int]]:
    """Each collection of the API as it is now, with how many members it has; asks for one member of each."""
    for collection in collections:
        answer = api.get(base + collection.path)
        assert answer.status_code == 200, (base, collection.path, answer.text)
        members = list(etree.fromstring(answer.content))
        yield base + collection.path, collection, len(members)
        for member in members[-1:]:
            path = member.get("href", "").removeprefix(f"{API_PATH}/")
            assert path, f"{collection.path} has a member without an href"
            assert _as_text(api.get(path).content) == _as_text(etree.tostring(member)), path
            yield from _tree(api, f"{path}/", collection.children)


def _as_text(xml: bytes) -> bytes:
    return etree.tostring(etree.fromstring(xml), method="c14n")


def test_what_is_listed_is_got_and_is_the_same(api: TestClient) -> None:
    seen = {path: count for path, _, count in _tree(api, "", REGISTRY.collections)}
    filled = {path.rpartition("/")[2] for path, count in seen.items() if count}
    for path in ("vms", "nics", "diskattachments", "snapshots", "cdroms", "graphicsconsoles", "reporteddevices"):
        assert path in filled
    for path in (
        "hosts",
        "networks",
        "vnicprofiles",
        "affinitygroups",
        "enabledfeatures",
        "permits",
        "steps",
        "tags",
    ):
        assert path in filled


def test_the_roots_links_lead_somewhere(api: TestClient) -> None:
    root = etree.fromstring(api.get("").content)
    links = {link.get("rel", ""): link.get("href", "") for link in root.findall("link")}
    assert set(links) >= {"vms", "vms/search", "hosts", "datacenters", "events", "users"}
    for rel, href in links.items():
        if not rel.endswith("/search"):
            assert api.get(f"http://engine.example.com{urlsplit(href).path}").status_code == 200, rel


def test_what_can_be_searched_says_so() -> None:
    told = {collection.path for collection in REGISTRY.collections if collection.searchable}
    at_top = {collection.path for collection in REGISTRY.collections}
    assert told == SEARCHABLE.keys() & at_top


def test_the_paths_are_the_sdks() -> None:
    """Each collection is where the SDK's services look for it."""
    for above, collection in REGISTRY.walk():
        service = "System"
        for each in (*above, collection):
            children = _children(service)
            assert each.path in children, f"{service} has no {each.path}"
            service = children[each.path]
            if each is not collection:
                service = _children(service)["*"]


def _children(service: str) -> dict[str, str]:
    found: dict[str, str] = {}
    while service in SERVICES:
        found = {**SERVICES[service].children, **found}
        service = SERVICES[service].base
    return found


def test_every_type_is_in_the_table_and_can_be_read() -> None:
    for _, collection in REGISTRY.walk():
        kind = TYPES[collection.type]
        assert collection.tag in (None, kind.plural, "host_numa_nodes")


def test_admin_is_a_user(api: TestClient) -> None:
    text = api.get(f"users/{ADMIN_ID}").text
    assert "<user_name>admin@internal-authz</user_name>" in text
