# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What users of the socket that is open to everybody may take."""

from functools import partial

from covirt.virtocid.shares import CallShares, MemoryShares


def test_one_user_runs_few_calls_and_the_others_have_their_turn() -> None:
    started: list[tuple[int, int]] = []
    shares = CallShares(per_user=2, overall=3)
    for number in range(5):
        shares.submit(1, partial(started.append, (1, number)))
    assert started == [(1, 0), (1, 1)]
    for uid in (2, 3):
        for number in range(2):
            shares.submit(uid, partial(started.append, (uid, number)))
    assert started[2:] == [(2, 0)]
    for uid in (1, 2, 1):
        shares.done(uid)
    assert len(started) == 6
    assert {uid for uid, _ in started[3:]} == {1, 2, 3}
    while len(started) < 9:
        shares.done(started[len(started) - 3][0])
    assert [number for uid, number in started if uid == 1] == [0, 1, 2, 3, 4]


def test_memory_of_one_user_and_of_all() -> None:
    shares = MemoryShares(per_user=10, overall=15)
    shares.change(1, 10)
    assert not shares.exceeded(1)
    shares.change(1, 1)
    assert shares.exceeded(1)
    shares.change(1, -2)
    shares.change(2, 7)
    assert shares.exceeded(1)  # together they have too much, and this one has the most of it
    assert not shares.exceeded(2)
    shares.change(2, -7)
    assert not shares.exceeded(1)
