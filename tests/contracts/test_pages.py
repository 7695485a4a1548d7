"""The pages of the events are those of the registry, and every link on them and in the guide leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.contracts import consumers, generate, pages
from shared.contracts.consumers import receivers
from shared.contracts.documents import HERE
from shared.contracts.headers import HEADERS
from shared.contracts.topics import BY_TYPE, TOPICS
from tests.contracts.messages import TYPES, example

GUIDE = HERE / "GUIDE.md"
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def page(type_name: str) -> str:
    """The committed page of a type."""
    return (pages.PAGES / f"{type_name}.md").read_text(encoding="utf-8")


def test_what_is_committed_is_what_the_registry_gives() -> None:
    for path, text in generate.derived().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: say `make contracts`"


def test_every_type_has_exactly_one_page() -> None:
    assert {path.stem for path in pages.PAGES.iterdir()} == set(BY_TYPE)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_page_shows_every_field_the_example_and_who_receives_it(type_name: str) -> None:
    text, event = page(type_name), BY_TYPE[type_name]
    assert all(f"| `{name}` |" in text for name in event.model_fields)
    assert all(f'"{name}": ' in text for name in [*example(type_name)["value"], *example(type_name)["headers"]])
    assert f"Received by: {', '.join(receivers(event)) or pages.NOBODY}\n" in text


def test_a_fact_that_no_service_receives_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = BY_TYPE["desk.ticket.closed.v1"]
    assert receivers(closed) == ("inventory", "sla", "devlink")
    monkeypatch.setattr(consumers, "CONSUMERS", {"tickets": ()})
    assert "Received by: nobody here" in pages.event_page(closed)


def test_a_page_marks_the_personal_fields() -> None:
    assert "| `note` | string | **personal** |" in page("desk.ticket.held.v1")
    assert "| `declined_reason` | string or null | **personal**; why Development declined it |" in page(
        "desk.dev-task.status-changed.v1"
    )
    assert "**personal**" not in page("desk.sla-clock.met.v1")


def test_the_page_of_all_events_has_every_topic_type_and_header() -> None:
    text = pages.INDEX.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in [*BY_TYPE, *(topic.name for topic in TOPICS), *HEADERS])


@pytest.mark.parametrize("path", [GUIDE, pages.INDEX, *sorted(pages.PAGES.glob("*.md"))], ids=lambda path: path.stem)
def test_every_link_leads_to_a_file(path: Path) -> None:
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_guide_names_the_closed_topics_and_no_header_that_is_not_written() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert set(re.findall(r"`(ce_[a-z]+)`", text)) <= set(HEADERS)
    assert all(f"`{topic.name}`" in text for topic in TOPICS if topic.is_personal())


def test_the_page_of_a_type_that_is_no_more_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present, gone = tmp_path / "desk.ticket.held.v1.md", tmp_path / "desk.ticket.lost.v1.md"
    gone.touch()
    monkeypatch.setattr(pages, "PAGES", tmp_path)
    monkeypatch.setattr(generate, "derived", lambda: {present: "a page\n"})
    generate.write_derived()
    assert [path.name for path in tmp_path.iterdir()] == [present.name]
    assert present.read_text(encoding="utf-8") == "a page\n"
