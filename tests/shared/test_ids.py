"""Ids: new ones grow with time, derived ones are the same for the same cause and lie beside it in an index."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import RFC_4122, UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.envelope import Cause
from shared.ids import derived_id, made_of, milliseconds_of, new_id
from shared.messaging.outbox import seal, seal_each
from tests.shared.messaging.story import assigned, cause, opened

AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
MILLISECONDS = st.integers(0, 2**48 - 1)
SIGNS = st.characters(exclude_characters="\x1f", exclude_categories=["Cs"])
PARTS = st.lists(st.text(SIGNS, max_size=20), min_size=1, max_size=4)


@given(MILLISECONDS, PARTS)
def test_a_derived_id_is_a_uuid_of_version_7_with_the_milliseconds_of_its_cause(at: int, parts: list[str]) -> None:
    derived = derived_id(at, *parts)
    assert (derived.version, derived.variant) == (7, RFC_4122)
    assert milliseconds_of(derived, AT) == at
    assert derived_id(at, *parts) == derived


@given(MILLISECONDS, PARTS, PARTS)
def test_other_identities_give_other_ids(at: int, one: list[str], other: list[str]) -> None:
    assert (derived_id(at, *one) == derived_id(at, *other)) is (one == other)


def test_derived_ids_lie_in_the_order_of_their_causes() -> None:
    assert derived_id(1, "z") < derived_id(2, "a") < derived_id(3, "m")


def test_what_is_made_of_the_same_cause_is_the_same_thing() -> None:
    ticket = UUID("01a22ab9-0000-7000-8000-000000000001")
    # Written by hand once: these ids are in databases.
    assert made_of("clock", ticket, "response", 1) == UUID("46804a98-6a4a-5474-94c9-c0658dd0272a")
    assert made_of("clock", ticket, "resolution", 1) != made_of("clock", ticket, "response", 1)
    assert made_of("task", ticket) != made_of("clock", ticket)


def test_the_instant_of_an_id_of_another_version_is_that_of_its_cause() -> None:
    assert milliseconds_of(uuid4(), AT) == int(AT.timestamp() * 1000)
    assert milliseconds_of(new_id(), AT) > 1_700_000_000_000


def reacting(to: UUID) -> Cause:
    return cause(causation_id=str(to), actor="system:sla")


def test_an_event_that_another_caused_has_the_same_id_whenever_it_is_told() -> None:
    first, second = new_id(), new_id()
    (one,) = seal(reacting(first), opened(1))
    assert [each.id for each in seal(reacting(first), opened(1))] == [one.id]
    assert seal(reacting(second), opened(1))[0].id != one.id
    assert seal(reacting(first), assigned(1, of=1))[0].id != one.id
    assert seal(reacting(first), opened(2))[0].id != one.id
    assert one.id.int >> 80 == first.int >> 80


def test_what_one_cause_tells_of_one_subject_several_times_has_several_ids_in_its_order() -> None:
    by, other = reacting(new_id()), reacting(new_id())
    alone = [one.id for one in seal(by, opened(1), opened(1), opened(2))]
    assert len(set(alone)) == 3
    between = seal_each([(by, opened(1)), (other, opened(1)), (by, opened(1)), (by, opened(2))])
    assert [between[0].id, between[2].id, between[3].id] == alone, "what is told beside it makes no difference"


def test_what_somebody_does_has_a_new_id_each_time() -> None:
    assert seal(cause(), opened(1))[0].id != seal(cause(), opened(1))[0].id
