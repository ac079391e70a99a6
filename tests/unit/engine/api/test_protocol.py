# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How requests are asked and answered, as oVirt's clients need it (rest-api.md, pitfalls)."""

import gzip
import re

import pytest
from lxml import etree
from starlette.testclient import TestClient

from covirt.engine.api.services import API_PATH
from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.engine_api import api_app, api_client

_HOST = "http://engine.example.com"


def _tags(text: str) -> list[str]:
    return [str(child.tag) for child in etree.fromstring(text.encode())]


# Pitfall 1: no redirects, both forms of a path.


@pytest.mark.parametrize(
    "path", ["", "/", "/vms", "/vms/", "//vms", f"/vms/{s.VM_ID}/", "/v4", "/v4/", "/v4/vms", ";x=1", "/vms;max=2/"]
)
def test_both_forms_of_a_path_answer_without_a_redirect(api: TestClient, path: str) -> None:
    answer = api.get(_HOST + API_PATH + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/xml;charset=UTF-8"


def test_hrefs_of_version_4s_path_stay_below_it(api: TestClient) -> None:
    text = api.get(f"{_HOST}{API_PATH}/v4/vms/{s.VM_ID}").text
    assert set(re.findall(r'href="(/ovirt-engine/api/\w+)/', text)) == {f"{API_PATH}/v4"}


# Pitfall 2: every answer has its type, errors too.


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nonsense", 404),
        ("GET", "vms/nonsense", 400),
        ("GET", f"vms/{s.NIC_ID}", 404),
        ("GET", f"vms/{s.VM_ID}/nonsense", 404),
        ("GET", f"vms/{s.NIC_ID}/nics", 404),
        ("GET", f"vms/{s.VM_ID}/nics/{s.VM_ID}", 404),
        ("GET", f"vms/{s.VM_ID}/nics/{s.NIC_ID}/x/y", 404),
        ("GET", f"vms/{s.VM_ID}/dance", 404),
        ("DELETE", f"vms/{s.VM_ID}/statistics", 405),
        ("PUT", "vms", 405),
        ("PATCH", f"vms/{s.VM_ID}", 405),
        ("POST", "", 405),
        ("GET", f"templates/{s.TEMPLATE_ID}/export", 405),
        ("POST", f"templates/{s.TEMPLATE_ID}/export", 400),
        ("POST", "openstackimageproviders", 400),
        ("GET", "vms?max=many", 400),
        ("GET", "vms?follow=nonsense", 400),
        ("GET", "vms?search=nonsense%3D1", 400),
    ],
)
@pytest.mark.parametrize("accept", ["application/xml", "application/json"])
def test_errors_are_faults_in_the_clients_language(
    api: TestClient, method: str, path: str, status: int, accept: str
) -> None:
    answer = api.request(method, path, headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers["content-type"].partition(";")[0] == accept
    assert "detail" in answer.text
    assert "reason" in answer.text


def test_what_only_begins_like_the_api_is_not_it(api: TestClient) -> None:
    assert api.get(f"{_HOST}{API_PATH}x").status_code == 404


def test_a_method_that_is_not_there_says_which_are(api: TestClient) -> None:
    answer = api.delete(f"vms/{s.VM_ID}/statistics")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "does not answer DELETE; it answers GET, HEAD, OPTIONS." in answer.text


def test_who_is_not_known_is_asked_to_say_so(samples: Store) -> None:
    answer = api_client(api_app(samples), user="").get("vms")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="RESTAPI"'
    assert _tags(answer.text) == ["detail", "reason"]
    nobody = api_client(api_app(samples), user="")
    assert nobody.get("nonsense").status_code == 401, "what is there is told to nobody"


# Pitfall 5: headers are ASCII.


def test_headers_are_ascii_whatever_is_asked(api: TestClient) -> None:
    answer = api.request("GET", "n%C3%B6/%0d%0aX:y", headers={"Correlation-Id": "a b/c:d"})
    assert answer.status_code == 404
    assert answer.headers["correlation-id"] == "abcd"
    assert all(value.isascii() for value in answer.headers.values())


# Pitfall 6: a page after the end is empty.


def test_pages_end(api: TestClient) -> None:
    pages = [api.get("vms", params={"search": f"page {number}", "max": "1"}).text for number in (1, 2, 3)]
    assert ["<name>" in page for page in pages] == [True, True, False]
    assert pages[2].endswith("<vms></vms>")


# Pitfall 7: what is searched for is understood, or refused.


@pytest.mark.parametrize("search", ["name=soup", 'name="soup"', "NAME=soup", "name = s*p and status=up"])
def test_a_search_finds_what_it_says(api: TestClient, search: str) -> None:
    answer = api.get("vms", params={"search": search})
    assert re.findall("<name>(.*?)</name>", answer.text)[:1] == ["soup"]
    assert len(_tags(answer.text)) == 1


@pytest.mark.parametrize("search", ["nonsense=soup", "name=", "status=boiling", "(name=soup", 'name="soup'])
@pytest.mark.parametrize("path", ["vms", "disks", "macpools", "jobs"])
def test_a_search_that_is_not_understood_is_refused(api: TestClient, path: str, search: str) -> None:
    assert api.get(path, params={"search": search}).status_code == 400


def test_case_matters_only_if_it_shall(api: TestClient) -> None:
    assert len(_tags(api.get("vms", params={"search": "name=SOUP"}).text)) == 1
    for flag, count in (("true", 0), ("", 0), ("false", 1), ("nonsense", 1)):
        answer = api.get("vms", params={"search": "name=SOUP", "case_sensitive": flag})
        assert len(_tags(answer.text)) == count, flag


# Pitfall 10: ids and hrefs of what lies below.


def test_an_attachment_has_the_disks_id(api: TestClient) -> None:
    answer = api.get(f"vms/{s.VM_ID}/diskattachments/{s.DISK_ID}")
    assert f'href="{API_PATH}/vms/{s.VM_ID}/diskattachments/{s.DISK_ID}" id="{s.DISK_ID}"' in answer.text
    assert f'<disk href="{API_PATH}/disks/{s.DISK_ID}" id="{s.DISK_ID}"/>' in answer.text


def test_the_active_snapshot_is_always_there(api: TestClient) -> None:
    for vm_id in (s.VM_ID, s.CONTAINER_ID):
        assert "<snapshot_type>active</snapshot_type>" in api.get(f"vms/{vm_id}/snapshots").text


# Pitfall 12: ordinary users ask for the filtered view.


def test_a_user_without_an_administrators_role_must_filter(user_api: TestClient) -> None:
    assert user_api.get("vms").status_code == 403
    for answer in (user_api.get("vms?filter=true"), user_api.get("vms", headers={"Filter": "true"})):
        assert re.findall("<name>(s[a-z]+)</name>", answer.text) == ["soup"]
    assert user_api.get(f"vms/{s.VM_ID};filter").status_code == 200
    assert user_api.get(f"vms/{s.CONTAINER_ID};filter").status_code == 404
    assert user_api.get(f"vms/{s.CONTAINER_ID}/nics;filter").status_code == 404


@pytest.mark.parametrize(
    "path", ["", "options/SoupTemperature", "operatingsystems", "icons", "roles", "instancetypes"]
)
def test_small_tables_are_open_to_every_user(user_api: TestClient, path: str) -> None:
    assert user_api.get(path).status_code == 200


def test_the_root_counts_what_the_user_sees(api: TestClient, user_api: TestClient) -> None:
    for client, total in ((api, 2), (user_api, 1)):
        summary = etree.fromstring(client.get("").content).find("summary")
        assert summary is not None
        assert (summary.findtext("vms/active"), summary.findtext("vms/total")) == ("1", str(total))


# Versions, languages, parameters, compression.


def test_versions(api: TestClient) -> None:
    assert api.get("", headers={"Version": "4"}).status_code == 200
    refused = api.get("", headers={"Version": "3"})
    assert refused.status_code == 400
    assert "Version '3' of the API is not supported; version 4 is." in refused.text


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", "application/xml"),
        ("*/*", "application/xml"),
        ("text/xml", "application/xml"),
        ("application/json", "application/json"),
        ("application/json;q=0.5, application/xml", "application/xml"),
        ("application/xml;q=0.5, application/json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml"),
    ],
)
def test_the_language_that_is_liked_best(api: TestClient, accept: str, answer: str) -> None:
    assert api.get("vms", headers={"Accept": accept}).headers["content-type"].partition(";")[0] == answer


def test_a_language_that_the_api_does_not_speak(api: TestClient) -> None:
    answer = api.get("vms", headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert answer.headers["content-type"].startswith("application/xml")


def test_matrix_parameters_and_headers_count_like_the_query(api: TestClient) -> None:
    for path in ("vms?max=1", "vms;max=1", f"vms/{s.VM_ID}/snapshots;max=1"):
        assert len(_tags(api.get(path).text)) == 1
    assert "<nics><nic " in api.get(f"vms/{s.VM_ID};follow=nics").text


def test_an_empty_follow_is_none(api: TestClient) -> None:
    assert api.get("vms?follow=").text == api.get("vms").text


def test_the_correlation_id_comes_back(api: TestClient) -> None:
    assert api.get("vms", headers={"Correlation-Id": "x" * 50}).headers["correlation-id"] == "x" * 36
    assert api.get("vms?correlation_id=from-query").headers["correlation-id"] == "from-query"
    assert len(api.get("vms").headers["correlation-id"]) == 36


def test_answers_are_compressed_for_who_wants_it(api: TestClient) -> None:
    with api.stream("GET", "vms", headers={"Accept-Encoding": "deflate, gzip, br"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())).startswith(b"<?xml")
    assert "content-encoding" not in api.get("vms", headers={"Accept-Encoding": "identity"}).headers


def test_head_and_options(api: TestClient) -> None:
    head = api.head("vms")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("application/xml")
    options = api.options(f"templates/{s.TEMPLATE_ID}/export")
    assert (options.status_code, options.headers["allow"]) == (200, "POST, OPTIONS")
    assert api.options("").headers["allow"] == "GET, HEAD, OPTIONS"


def test_events_come_latest_first_and_from_a_number_on(api: TestClient) -> None:
    latest = api.get("events?max=1").text
    assert "stirred 2 times" in latest
    first, *_ = re.findall(r'<event href="[^"]*" id="(\d+)"', latest)
    assert len(_tags(api.get(f"events?from={int(first) - 1}").text)) == 1
    assert _tags(api.get(f"events?from={first}").text) == []


def test_options_of_one_version(api: TestClient) -> None:
    every = api.get("options/SoupTemperature").text
    assert re.findall("<value>(.*?)</value>", every) == ["80", "85", "hot"]
    assert re.findall("<value>(.*?)</value>", api.get("options/SoupTemperature?version=4.7").text) == ["80", "hot"]
    assert api.get("options/Nonsense").status_code == 404


def test_a_script_that_may_hold_secrets_is_not_told(api: TestClient) -> None:
    assert "secret" not in api.get(f"vms/{s.VM_ID}?all_content=true").text
