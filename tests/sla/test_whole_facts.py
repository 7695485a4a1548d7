"""What is kept of a fact: all that was told of it but what is personal."""

from __future__ import annotations

import json
from dataclasses import replace

from shared.contracts.tickets import CategoryAnswer
from sla.domain.meaning import told_by
from tests.sla.telling import Story, at

PERSONAL = "Llamó Juana Pérez, interno 214"


def test_a_fact_is_kept_with_what_it_carried_and_with_what_its_targets_were_chosen_by() -> None:
    fact = told_by(Story(client="acme", severity=2).held(60, "third-party"))
    assert (fact.type, fact.occurred_at) == ("desk.ticket.held.v1", at(60))
    assert (fact.carried["reason"], fact.carried["severity"], fact.carried["kind"]) == ("third-party", 2, "incident")
    assert fact.carried["groups"]["client_id"] == "acme"


def test_nothing_personal_is_kept_of_a_fact_however_deep_it_lies() -> None:
    story = Story()
    opened = story.opened()
    answers = (CategoryAnswer(question="desde-cuando", text=PERSONAL),)
    changes = {"title": PERSONAL, "reporter": PERSONAL, "answers": answers}
    opened = replace(opened, data=opened.data.model_copy(update=changes))
    assert PERSONAL in opened.data.model_dump_json()
    for event in (opened, story.responded(1), story.held(2), story.resolved(3), story.reopened(4)):
        kept = json.dumps(dict(told_by(event).carried), ensure_ascii=False)
        for said in (PERSONAL, "Lo estamos viendo", "Falta el archivo", "Listo", "Volvió a pasar"):
            assert said not in kept
