"""A category wants an answer to each of its questions, and «no sé» is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.tickets import CategoryAnswer
from tests.tickets.domain.shipped import DEFAULTS
from tickets.domain.catalogue import (
    AnswersMissing,
    Category,
    QuestionTwice,
    UnknownQuestion,
    answered,
    check_questions,
    unknown_category,
    unknown_resolution_code,
)

IDS = ["alternativa", "desde-cuando", "mensaje", "que-hacia"]
said = st.none() | st.just("desde ayer")


def told(answers: dict[str, str | None]) -> list[CategoryAnswer]:
    return [CategoryAnswer(question=one, text=text) for one, text in answers.items()]


@given(st.lists(st.sampled_from(IDS), unique=True), st.dictionaries(st.sampled_from(IDS), said))
def test_an_opening_answers_exactly_what_its_category_asks(asked: list[str], answers: dict[str, str | None]) -> None:
    category = Category("lentitud", {one: f"¿{one}?" for one in asked}, retired=False)
    if set(answers) - set(asked):
        with pytest.raises(UnknownQuestion, match="'lentitud' asks for"):
            answered(category, told(answers))
    elif set(asked) - set(answers):
        with pytest.raises(AnswersMissing) as refused:
            answered(category, told(answers))
        assert refused.value.extra["questions"] == [one for one in asked if one not in answers]
        assert "null where nobody knows" in str(refused.value)
    else:
        assert [(one.question, one.text) for one in answered(category, told(answers))] == [
            (one, answers[one]) for one in asked
        ]


def test_without_a_category_nothing_is_asked() -> None:
    assert answered(None, []) == ()
    with pytest.raises(UnknownQuestion, match="answers belong to a category"):
        answered(None, told({"mensaje": None}))


def test_a_category_asks_each_question_once() -> None:
    check_questions("lentitud", IDS)
    with pytest.raises(QuestionTwice, match="mensaje is there twice"):
        check_questions("lentitud", [*IDS, "mensaje"])
    category = Category("lentitud", {"mensaje": "¿Qué dice?"}, retired=False)
    with pytest.raises(QuestionTwice, match="say in answers what holds, once"):
        answered(category, told({"mensaje": None}) * 2)


def test_whoever_names_nothing_in_use_is_told_what_is() -> None:
    assert "Lentitud" in str(unknown_category("lento", {"lentitud": "Lentitud"}))
    assert "none: an admin adds some first" in str(unknown_resolution_code("x1", {}))


def test_what_is_shipped_are_ten_categories_with_five_questions_and_eleven_codes() -> None:
    assert len(DEFAULTS.categories) == 10
    assert {tuple(one.id for one in each.questions) for each in DEFAULTS.categories} == {
        ("que-hacia", "mensaje", "desde-cuando", "cuantos-usuarios", "alternativa")
    }
    assert [one.id for one in DEFAULTS.resolution_codes] == [
        "error-corregido", "alternativa-permanente", "configuracion", "dato-corregido", "capacitacion",
        "entorno-del-cliente", "tercero", "no-se-reproduce", "sin-respuesta-del-cliente", "duplicado",
        "derivado-a-implementaciones",
    ]  # fmt: skip
