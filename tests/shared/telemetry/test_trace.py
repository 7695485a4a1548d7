"""The traceparent: what W3C allows, and that a child stays in its trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry.trace import TraceParent, new_trace, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_traceparent_is_read_and_written_unchanged() -> None:
    text = f"00-{TRACE}-{SPAN}-01"
    assert parse(text) == TraceParent(TRACE, SPAN, 1)
    assert str(parse(text)) == text


def test_what_is_not_sampled_stays_so() -> None:
    assert str(parse(f"00-{TRACE}-{SPAN}-00")) == f"00-{TRACE}-{SPAN}-00"


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


def test_every_new_trace_is_another_one_and_says_that_nobody_keeps_its_spans() -> None:
    begun = [new_trace() for _ in range(100)]
    assert len({one.trace_id for one in begun}) == len({one.span_id for one in begun}) == 100
    for one in begun:
        assert parse(str(one)) == one
        assert one.flags == 0


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    found = parse(text)
    assert found is None or parse(str(found)) == found
