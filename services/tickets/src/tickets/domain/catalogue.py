"""Categories with what must be asked, and codes of how a matter was settled; each stays, and may be retired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.tickets import CategoryAnswer
from shared.errors import Invalid, NotFound

Noun = Literal["category", "resolution-code"]


class NoSuchEntry(NotFound):
    """No category or resolution code has this id."""

    code = "no-such-entry"
    title = "There is no such entry"


class NotShipped(NotFound):
    """An entry that an admin added has no shipped form."""

    code = "not-shipped"
    title = "This did not come with the product"


class UnknownCategory(Invalid):
    """A category that there is not, or that is retired; `known` are those that may be given."""

    code = "unknown-category"
    title = "There is no such category in use"


class UnknownResolutionCode(Invalid):
    """A code that there is not, or that is retired; `known` are those that may be given."""

    code = "unknown-resolution-code"
    title = "There is no such resolution code in use"


class AnswersMissing(Invalid):
    """A category wants an answer to each of its questions; `questions` are those without one."""

    code = "answers-missing"
    title = "The category wants more answers"


class UnknownQuestion(Invalid):
    """An answer to what the category does not ask."""

    code = "unknown-question"
    title = "Nobody asks this"


class QuestionTwice(Invalid):
    """A category asks each of its questions once, and each is answered once."""

    code = "question-twice"
    title = "The same question twice"


@dataclass(frozen=True, slots=True)
class Category:
    """What a ticket is about. `questions` are the words of what must be answered, by the ids of the answers."""

    id: str
    questions: Mapping[str, str]
    retired: bool


def answered(category: Category | None, given: Sequence[CategoryAnswer]) -> tuple[CategoryAnswer, ...]:
    """The answers in the order of the questions; None is «no sé», which is an answer, too.

    Raises AnswersMissing, UnknownQuestion or QuestionTwice; without a category nothing is asked.
    """
    questions = category.questions if category is not None else {}
    answers = {one.question: one for one in given}
    if len(answers) != len(given):
        raise QuestionTwice("a question is answered twice: say in answers what holds, once", field="answers")
    if strange := sorted(answers.keys() - questions.keys()):
        asked = f"'{category.id}' asks for {', '.join(questions)}" if category else "answers belong to a category"
        raise UnknownQuestion(f"there is no question '{strange[0]}': {asked}", field="answers")
    if category is not None and (missing := [one for one in questions if one not in answers]):
        asks = "; ".join(f"{one} ({questions[one]})" for one in missing)
        raise AnswersMissing(
            f"'{category.id}' wants an answer to each of these, with the text null where nobody knows: {asks}",
            field="answers",
            questions=missing,
        )
    return tuple(answers[one] for one in questions)


def check_questions(category_id: str, questions: Iterable[str]) -> None:
    """Raises QuestionTwice."""
    ids = list(questions)
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise QuestionTwice(f"{category_id}: the question {twice[0]} is there twice: give each its own id")


def unknown_category(id: str, known: Mapping[str, str]) -> UnknownCategory:
    """Says which categories may be given."""
    return UnknownCategory(
        f"there is no category '{id}' in use: give one of {_listed(known)}, or leave it out until somebody can say it",
        field="category",
        known=list(known),
    )


def unknown_resolution_code(id: str, known: Mapping[str, str]) -> UnknownResolutionCode:
    """Says which codes may be given."""
    return UnknownResolutionCode(
        f"there is no resolution code '{id}' in use: give one of {_listed(known)}", field="code", known=list(known)
    )


def _listed(known: Mapping[str, str]) -> str:
    return ", ".join(f"{each} ({name})" for each, name in known.items()) or "none: an admin adds some first"
