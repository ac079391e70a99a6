# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's search language, from text to a tree.

``name=web* and (cluster=Default or status!=up) sortby name desc page 2``. ``and`` binds closer than ``or``; criteria
side by side are joined by ``and``. What stands after an operator is a value, whatever its word. Names of fields and
keywords know no case. Source: oVirt's administration guide, chapter on searches.
"""

import re
from typing import Final, NamedTuple

from covirt.engine.search.errors import BadSearch
from covirt.engine.search.tree import KEYWORDS, AllOf, AnyOf, Condition, Criterion, FreeText, Operator, Search, Sort

_LONGEST: Final = 4096  # characters; a URL is not longer either
_DEEPEST: Final = 20  # parentheses within parentheses
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<operator>!=|<=|>=|=|<|>)
      | (?P<open>\()
      | (?P<close>\))
      | "(?P<double>[^"]*)"
      | '(?P<single>[^']*)'
      | (?P<word>[^\s"'()=!<>]+)
    )\s*""",
    re.VERBOSE,
)
_FIELD: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")  # no name has these, and PostgreSQL refuses to compare with them


class _Token(NamedTuple):
    kind: str  # operator, open, close, word or text (which was in quotation marks)
    value: str


def parse(text: str) -> Search:
    """Raises BadSearch."""
    if len(text) > _LONGEST:
        raise BadSearch(text=f"{text[:40]}…", reason=f"it is longer than {_LONGEST} characters")
    if _NO_TEXT.search(text):
        raise BadSearch(text=_NO_TEXT.sub("?", text), reason="it holds a character that no text has")
    return _Parser(text).search()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = len(text) - len(text.lstrip())
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadSearch(
                text=text, reason=f"nothing can begin with {text[position]!r}, or a quotation mark lacks its end"
            )
        kind = "text" if match.lastgroup in ("double", "single") else match.lastgroup
        tokens.append(_Token(kind, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def search(self) -> Search:
        condition = None if self._at_tail() else self._any_of(depth=0)
        sort = self._sort() if self._keyword() == "sortby" else None
        page = self._page() if self._keyword() == "page" else None
        if (token := self._peek()) is not None:
            raise self._bad(f"{token.value!r} is not expected there")
        return Search(condition=condition, sort=sort, page=page)

    def _any_of(self, *, depth: int) -> Condition:
        items = [self._all_of(depth=depth)]
        while self._keyword() == "or":
            self._take()
            items.append(self._all_of(depth=depth))
        return items[0] if len(items) == 1 else AnyOf(items=tuple(items))

    def _all_of(self, *, depth: int) -> Condition:
        items = [self._one(depth=depth)]
        while True:
            if self._keyword() == "and":
                self._take()
            elif self._at_tail() or self._keyword() == "or" or self._peek_kind() == "close":
                break
            items.append(self._one(depth=depth))
        flat = tuple(part for item in items for part in (item.items if isinstance(item, AllOf) else (item,)))
        return flat[0] if len(flat) == 1 else AllOf(items=flat)

    def _one(self, *, depth: int) -> Condition:
        token = self._peek()
        if token is None:
            raise self._bad("it ends where a criterion should follow, as in name=web*")
        if token.kind == "open":
            return self._in_parentheses(depth=depth)
        if token.kind in ("operator", "close") or self._keyword() is not None:
            raise self._bad(f"{token.value!r} stands where a criterion should, as in name=web*")
        self._take()
        if self._peek_kind() == "operator":
            return self._criterion(token)
        return FreeText(value=token.value)

    def _in_parentheses(self, *, depth: int) -> Condition:
        if depth == _DEEPEST:
            raise self._bad(f"its parentheses are more than {_DEEPEST} deep")
        self._take()
        condition = self._any_of(depth=depth + 1)
        if self._peek_kind() != "close":
            raise self._bad("a parenthesis lacks its end")
        self._take()
        return condition

    def _criterion(self, field: _Token) -> Criterion:
        operator = Operator(self._take().value)
        value = self._peek()
        if value is None or value.kind not in ("word", "text"):
            raise self._bad(f"there is no value after {field.value}{operator}; quote one that is empty or has spaces")
        self._take()
        return Criterion(field=self._field(field), operator=operator, value=value.value)

    def _field(self, token: _Token) -> str:
        name = token.value.lower()
        if token.kind != "word" or not _FIELD.fullmatch(name):
            raise self._bad(f"{token.value!r} is no name of a field")
        return name

    def _sort(self) -> Sort:
        self._take()
        token = self._peek()
        if token is None:
            raise self._bad("sortby wants the name of a field")
        self._take()
        field = self._field(token)
        direction = self._keyword()
        if direction in ("asc", "desc"):
            self._take()
        return Sort(field=field, descending=direction == "desc")

    def _page(self) -> int:
        self._take()
        token = self._peek()
        if token is None or not re.fullmatch(r"[0-9]{1,9}", token.value) or int(token.value) == 0:
            raise self._bad("page wants a number from 1 on")
        self._take()
        return int(token.value)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _peek_kind(self) -> str | None:
        token = self._peek()
        return None if token is None else token.kind

    def _keyword(self) -> str | None:
        """The next token where it is one; "page" and the others are fields when an operator follows."""
        token = self._peek()
        if token is None or token.kind != "word" or token.value.lower() not in KEYWORDS:
            return None
        following = self._tokens[self._next + 1] if self._next + 1 < len(self._tokens) else None
        return None if following is not None and following.kind == "operator" else token.value.lower()

    def _at_tail(self) -> bool:
        return self._peek() is None or self._keyword() in ("sortby", "page")

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _bad(self, reason: str) -> BadSearch:
        return BadSearch(text=self._text, reason=reason)
