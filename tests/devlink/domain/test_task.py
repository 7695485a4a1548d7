"""The states of a task: where it may go, what that needs, and what every waiting ticket is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from devlink.domain.task import (
    STATUSES,
    TRANSITIONS,
    Change,
    FixVersionNeeded,
    Link,
    MoveNotPossible,
    ReasonNeeded,
    Task,
    display_id,
)
from shared.contracts.devlink import DevTaskStatusChanged, TaskBrief, TaskStatus
from shared.errors import DeskError
from tests.support.briefs import task_brief

# Written out by hand from the design, so that a slip in the table of the product is seen.
POSSIBLE = {
    ("new", "triaged"), ("new", "declined"),
    ("triaged", "in_progress"), ("triaged", "declined"),
    ("in_progress", "in_review"), ("in_progress", "triaged"), ("in_progress", "declined"),
    ("in_review", "fixed"), ("in_review", "in_progress"), ("in_review", "declined"),
    ("fixed", "released"), ("fixed", "in_progress"),
    ("declined", "triaged"),
}  # fmt: skip
CHANGED_AT = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)
LINKS = tuple(Link(UUID(int=n), UUID(int=100 + n)) for n in (1, 2))


NOW = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
URL = "http://board.example/7"


def task(status: TaskStatus = "new", *, fix_version: str | None = None, reason: str | None = None) -> Task:
    return Task(UUID(int=7), 17, status, CHANGED_AT, None, fix_version, reason, 3, CHANGED_AT, LINKS)


def move(
    moved: Task, to: TaskStatus, *, reason: str | None = None, fix_version: str | None = None, at: datetime = NOW
) -> list[DevTaskStatusChanged]:
    return moved.move(to, reason=reason, fix_version=fix_version, url=URL, at=at)


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_task_moves_exactly_where_the_design_says(before: TaskStatus, after: TaskStatus) -> None:
    moved = task(before)
    if (before, after) in POSSIBLE:
        move(moved, after, reason="porque sí", fix_version="7.4.3")
        assert (moved.status, moved.version) == (after, 4)
    else:
        with pytest.raises(MoveNotPossible) as refused:
            move(moved, after, reason="porque sí", fix_version="7.4.3")
        assert refused.value.extra["possible"] == [to for to in STATUSES if (before, to) in POSSIBLE]
        assert (moved.status, moved.version, moved.changes) == (before, 3, [])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("new", "new", "already new"),
        ("released", "triaged", "released, and that is its end"),
        ("fixed", "declined", "can only become in_progress or released"),
    ],
)
def test_a_refused_move_says_where_the_task_can_go(before: TaskStatus, after: TaskStatus, told: str) -> None:
    with pytest.raises(MoveNotPossible, match=told):
        move(task(before), after, reason="x", fix_version="1")


@pytest.mark.parametrize("reason", [None, ""])
def test_declining_needs_a_reason_and_leaves_the_task_alone_without(reason: str | None) -> None:
    refused = task("triaged")
    with pytest.raises(ReasonNeeded):
        move(refused, "declined", reason=reason, fix_version=None)
    assert (refused.status, refused.changes) == ("triaged", [])


def test_releasing_needs_a_version_that_is_said_now_or_was_said_when_it_was_fixed() -> None:
    with pytest.raises(FixVersionNeeded):
        move(task("fixed"), "released", reason=None, fix_version=None)
    said_before, said_now = task("fixed", fix_version="7.4.3"), task("fixed", fix_version="7.4.3")
    move(said_before, "released", reason=None, fix_version=None)
    move(said_now, "released", reason=None, fix_version="7.5.0")
    assert (said_before.fix_version, said_now.fix_version) == ("7.4.3", "7.5.0")


def test_work_that_is_taken_up_again_forgets_its_version_and_its_refusal() -> None:
    reopened, resumed = task("declined", reason="no es un error"), task("fixed", fix_version="7.4.3")
    move(reopened, "triaged", reason="el cliente mandó una captura", fix_version=None)
    move(resumed, "in_progress", reason=None, fix_version=None)
    assert reopened.declined_reason is None
    assert resumed.fix_version is None
    assert reopened.changes == [
        Change("status", "declined", "triaged"),
        Change("declined_reason", "no es un error", None),
        Change("reason", None, "el cliente mandó una captura"),
    ]
    assert resumed.changes == [Change("status", "fixed", "in_progress"), Change("fix_version", "7.4.3", None)]


def test_every_ticket_that_waits_is_told_of_a_move() -> None:
    events = move(task("triaged"), "declined", reason="ya corregido en 7.4.2", fix_version=None)
    assert [(one.ticket_id, one.escalation_id) for one in events] == [
        (link.ticket_id, link.escalation_id) for link in LINKS
    ]
    assert {(one.previous_status, one.reason) for one in events} == {("triaged", "ya corregido en 7.4.2")}
    assert [one.task for one in events] == [
        task_brief(
            UUID(int=7), external_id=str(UUID(int=7)), url=URL, status="declined", tracker_status="declined",
            status_at=NOW, declined_reason="ya corregido en 7.4.2",
        )
    ] * 2  # fmt: skip


def test_a_new_task_has_nothing_behind_it_and_is_new_since_it_is_there() -> None:
    new = Task.new(UUID(int=7), 17, CHANGED_AT)
    assert (new.version, new.links, new.changes) == (1, (), [])
    assert new.brief(URL) == task_brief(
        UUID(int=7), external_id=str(UUID(int=7)), url=URL, status_at=CHANGED_AT, tracker_status="new"
    )


def test_a_task_has_its_status_since_it_moved_and_not_since_it_was_assigned() -> None:
    worked_on = task()
    worked_on.assign("nora")
    assert worked_on.status_at == CHANGED_AT
    with pytest.raises(MoveNotPossible):
        move(worked_on, "released", fix_version="7.4.3")
    assert worked_on.status_at == CHANGED_AT
    move(worked_on, "triaged")
    worked_on.assign(None)
    assert worked_on.status_at == NOW


def test_a_refusal_is_known_as_long_as_it_stands() -> None:
    refused = task("triaged")
    said = [
        told.task.declined_reason
        for to, reason in (("declined", "no es un error"), ("triaged", "sí lo es"), ("in_progress", None))
        for told in move(refused, to, reason=reason)  # type: ignore[arg-type]
    ]
    assert said == ["no es un error"] * 2 + [None] * 4


def test_assigning_to_who_has_it_already_changes_nothing() -> None:
    given_away = task()
    assert given_away.assign("nora")
    assert not given_away.assign("nora")
    assert (given_away.version, given_away.changes) == (4, [Change("assignee", None, "nora")])
    assert given_away.assign(None)
    assert given_away.assignee is None


def test_every_status_can_be_reached_and_only_released_is_an_end() -> None:
    reached, waiting = {"new"}, ["new"]
    while waiting:
        for to in TRANSITIONS[waiting.pop()]:  # type: ignore[index]
            if to not in reached:
                reached.add(to)
                waiting.append(to)
    assert reached == set(STATUSES)
    assert [status for status in STATUSES if not TRANSITIONS[status]] == ["released"]


@given(st.integers(1, 10**9))
def test_a_number_can_be_read_back_from_what_developers_call_the_task(number: int) -> None:
    assert display_id(number) == "DEV-" + str(number)


class Board(RuleBasedStateMachine):
    """Any sequence of moves, possible or not: what holds on every task at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.task = task()
        self.told: list[tuple[str, str]] = []
        self.brief: TaskBrief | None = None
        self.now = NOW

    @rule(
        to=st.sampled_from(STATUSES),
        reason=st.sampled_from([None, "", "un motivo"]),
        fix_version=st.sampled_from([None, "7.4.3"]),
    )
    def move(self, to: TaskStatus, reason: str | None, fix_version: str | None) -> None:
        before = (self.task.status, self.task.fix_version, self.task.declined_reason, self.task.version)
        self.now += timedelta(minutes=1)
        try:
            events = move(self.task, to, reason=reason, fix_version=fix_version, at=self.now)
        except DeskError:
            assert (self.task.status, self.task.fix_version, self.task.declined_reason, self.task.version) == before
        else:
            assert (before[0], to) in POSSIBLE
            assert self.task.version == before[3] + 1
            self.told += [(event.previous_status, event.task.status) for event in events[:1]]
            assert {event.task.status_at for event in events} == {self.now}
            self.brief = events[-1].task

    @rule(assignee=st.sampled_from([None, "nora", "leo"]))
    def assign(self, assignee: str | None) -> None:
        self.task.assign(assignee)

    @invariant()
    def what_tickets_were_told_is_an_unbroken_path_to_the_present(self) -> None:
        path = ["new", *(after for _, after in self.told)]
        assert [before for before, _ in self.told] == path[:-1]
        assert path[-1] == self.task.status

    @invariant()
    def what_tickets_were_told_last_is_the_task_as_it_is(self) -> None:
        assert self.brief in (None, self.task.brief(URL))

    @invariant()
    def declined_has_a_reason_and_released_a_version(self) -> None:
        assert (self.task.status == "declined") == bool(self.task.declined_reason)
        assert self.task.status != "released" or self.task.fix_version

    @invariant()
    def the_trace_tells_how_the_present_came_about(self) -> None:
        present = {"status": "new", "fix_version": None, "declined_reason": None}
        for change in self.task.changes:
            if change.field in present:
                assert present[change.field] == change.old
                present[change.field] = change.new
        assert present == {name: getattr(self.task, name) for name in present}


TestBoard = Board.TestCase
