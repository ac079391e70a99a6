# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's search language: what it means, and what it refuses."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from covirt.engine.search.errors import BadSearch
from covirt.engine.search.grammar import parse
from covirt.engine.search.tree import (
    AllOf,
    AnyOf,
    Condition,
    Criterion,
    FreeText,
    Operator,
    Search,
    Sort,
)


def _is(field: str, value: str, operator: Operator = Operator.EQUAL) -> Criterion:
    return Criterion(field=field, operator=operator, value=value)


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("", Search()),
        ("  ", Search()),
        ("name=web*", Search(condition=_is("name", "web*"))),
        ('name = "a b"', Search(condition=_is("name", "a b"))),
        ("name=''", Search(condition=_is("name", ""))),
        ("NAME='it is \"it\"'", Search(condition=_is("name", 'it is "it"'))),
        ("memory>=1024", Search(condition=_is("memory", "1024", Operator.AT_LEAST))),
        ("status != up", Search(condition=_is("status", "up", Operator.NOT_EQUAL))),
        ("name=and", Search(condition=_is("name", "and"))),
        ("page=3", Search(condition=_is("page", "3"))),
        ("Vms.name=x", Search(condition=_is("vms.name", "x"))),
        ("web", Search(condition=FreeText(value="web"))),
        ("page 2", Search(page=2)),
        ("sortby name", Search(sort=Sort(field="name"))),
        (
            "name=a sortby NAME DESC page 12",
            Search(condition=_is("name", "a"), sort=Sort(field="name", descending=True), page=12),
        ),
        (
            "a=1 or b=2 and c=3",
            Search(condition=AnyOf(items=(_is("a", "1"), AllOf(items=(_is("b", "2"), _is("c", "3")))))),
        ),
        (
            "(a=1 or b=2) and c=3",
            Search(condition=AllOf(items=(AnyOf(items=(_is("a", "1"), _is("b", "2"))), _is("c", "3")))),
        ),
        ("a=1 b=2", Search(condition=AllOf(items=(_is("a", "1"), _is("b", "2"))))),
    ],
)
def test_meaning(text: str, search: Search) -> None:
    assert parse(text) == search


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name=", "no value after name="),
        ("=x", "'=' stands where a criterion should"),
        ("name=x and", "ends where a criterion should follow"),
        ("and name=x", "'and' stands where"),
        ("name==x", "no value after name="),
        ('name="x', "a quotation mark lacks its end"),
        ("(name=x", "a parenthesis lacks its end"),
        ("name=x)", r"'\)' is not expected"),
        ("na-me=x", "'na-me' is no name of a field"),
        ('"name"=x', "'name' is no name of a field"),
        ("sortby", "sortby wants the name"),
        ("page 0", "page wants a number"),
        ("page two", "page wants a number"),
        ("page 1 name=x", "'name' is not expected"),
        ("(" * 21 + "a=1" + ")" * 21, "more than 20 deep"),
        ("a" * 5000, "longer than 4096"),
        ("name!x", "nothing can begin with '!'"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    with pytest.raises(BadSearch, match=reason):
        parse(text)


_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\"'\0"), max_size=12)
_CRITERIA = st.builds(
    Criterion,
    field=st.from_regex(r"[a-z_][a-z0-9_]{0,6}(\.[a-z_]{1,4})?", fullmatch=True),
    operator=st.sampled_from(Operator),
    value=_VALUES,
) | st.builds(FreeText, value=_VALUES)


def _groups(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    """Trees as the grammar makes them: no group directly in one of its own kind."""
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    all_of = several.map(
        lambda items: AllOf(items=tuple(part for i in items for part in (i.items if isinstance(i, AllOf) else (i,))))
    )
    any_of = several.map(
        lambda items: AnyOf(items=tuple(part for i in items for part in (i.items if isinstance(i, AnyOf) else (i,))))
    )
    return all_of | any_of


@given(
    st.builds(
        Search,
        condition=st.none() | st.recursive(_CRITERIA, _groups, max_leaves=6),
        sort=st.none() | st.builds(Sort, field=st.just("name"), descending=st.booleans()),
        page=st.none() | st.integers(1, 999),
    )
)
def test_what_is_printed_is_read_again(search: Search) -> None:
    assert parse(str(search)) == search


@given(st.text(max_size=60) | st.text(st.sampled_from("ab=!<>()\"' *page orand"), max_size=30))
def test_any_text_is_a_search_or_refused(text: str) -> None:
    try:
        search = parse(text)
    except BadSearch:
        return
    assert parse(str(search)) == search
