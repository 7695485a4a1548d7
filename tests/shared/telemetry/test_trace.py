"""The traceparent: what W3C allows, and that a child stays in its trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry.trace import TraceParent, child, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_traceparent_is_read_and_written_unchanged() -> None:
    text = f"00-{TRACE}-{SPAN}-01"
    assert parse(text) == TraceParent(TRACE, SPAN, 1)
    assert str(parse(text)) == text


def test_what_is_not_sampled_stays_so() -> None:
    assert child(f"00-{TRACE}-{SPAN}-00").endswith("-00")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"0g-{TRACE}-{SPAN}-01",
    ],
)
def test_what_is_not_valid_is_none(text: str | None) -> None:
    assert parse(text) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert parse(f"01-{TRACE}-{SPAN}-03-what-ever-comes") == TraceParent(TRACE, SPAN, 1)


def test_a_child_keeps_the_trace_and_has_a_span_of_its_own() -> None:
    children = {child(f"00-{TRACE}-{SPAN}-01") for _ in range(100)}
    assert len(children) == 100
    for each in children:
        told = parse(each)
        assert told is not None
        assert (told.trace_id, told.span_id == SPAN) == (TRACE, False)


def test_a_child_of_nothing_begins_a_trace() -> None:
    first, second = parse(child(None)), parse(child("nonsense"))
    assert first is not None
    assert second is not None
    assert first.trace_id != second.trace_id


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    assert parse(text) is None or parse(child(text)) is not None
