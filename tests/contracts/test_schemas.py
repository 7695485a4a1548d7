"""The committed schemas say what the classes say, and stay compatible with every version that was ever committed."""

from __future__ import annotations

import json
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsoncompat
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from shared.contracts import generate
from shared.contracts.documents import (
    EARLIER,
    EXAMPLES,
    HERE,
    SCHEMAS,
    all_schemas,
    earlier_versions,
    meaning,
    read_json,
    render,
)
from shared.contracts.generate import NoCheckout, refresh
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import BY_TYPE
from tests.contracts.messages import committed, example

HOW_TO = "say `make contracts`"
ALL = all_schemas()


def required_fields(schema: dict[str, Any]) -> dict[str, set[str]]:
    """The required fields of the data and of each of its parts."""
    parts = {"data": schema, **schema.get("$defs", {})}
    return {name: set(part.get("required", [])) for name, part in parts.items()}


def anonymous(schema: dict[str, Any]) -> str:
    """A schema without its name: jsoncompat takes a URN for the address of another document and gives up."""
    return json.dumps({name: part for name, part in meaning(schema).items() if name != "$id"})


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why readers of `old` could not live with a writer of `new`, or a reader of `new` with what `old` wrote."""
    told = []
    if not jsoncompat.check_compat(anonymous(old), anonymous(new), "serializer"):
        told.append("what is written now is not always valid under the earlier version")
    before, after = required_fields(old), required_fields(new)
    told += [
        f"{part}: {name} became required"
        for part in before.keys() & after.keys()
        for name in sorted(after[part] - before[part])
    ]
    return told


def test_every_type_has_exactly_one_committed_schema() -> None:
    assert committed(SCHEMAS) == set(ALL), HOW_TO


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_the_committed_schema_is_that_of_the_class(type_name: str) -> None:
    text = (SCHEMAS / f"{type_name}.json").read_text(encoding="utf-8")
    assert text == render(ALL[type_name]), HOW_TO


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_a_committed_schema_is_a_valid_one_under_its_own_name(type_name: str) -> None:
    schema = read_json(SCHEMAS / f"{type_name}.json")
    Draft202012Validator.check_schema(schema)
    assert (
        schema["$id"]
        == f"urn:desk:schema:{type_name.removesuffix(OPEN) + (':open' if type_name.endswith(OPEN) else '')}"
    )
    assert schema["description"], "the class needs a docstring: it is what other systems read"


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_a_schema_is_compatible_with_each_of_its_earlier_versions(type_name: str) -> None:
    present = read_json(SCHEMAS / f"{type_name}.json")
    # The present one is held against itself too, so that a construct that jsoncompat cannot judge is seen at once.
    for path in [SCHEMAS / f"{type_name}.json", *earlier_versions(SCHEMAS, type_name)]:
        assert differences(read_json(path), present) == [], f"against {path.name}: publish a new type, .v2, beside it"


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_every_earlier_example_still_validates_and_is_still_read(type_name: str) -> None:
    present = Draft202012Validator(read_json(SCHEMAS / f"{type_name}.json"))
    for path in earlier_versions(EXAMPLES, type_name):
        value = read_json(path)["value"]
        present.validate(value)
        if type_name in BY_TYPE:
            BY_TYPE[type_name].model_validate_json(json.dumps(value))


def test_earlier_versions_belong_to_types_that_still_exist() -> None:
    for folder in (SCHEMAS, EXAMPLES):
        kept = {path.name for path in (folder / EARLIER).glob("*") if path.is_dir()}
        assert kept <= set(ALL), "a type disappears only after its topic's retention, with a decision record"


OPENED = read_json(SCHEMAS / "desk.ticket.opened.v1.json")


def changed(change: str) -> dict[str, Any]:
    """The schema of an opened ticket after one careless or careful change."""
    schema = deepcopy(OPENED)
    properties = schema["properties"]
    if change == "optional field":
        properties["weather"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    elif change == "required field":
        properties["weather"] = {"type": "string"}
        schema["required"].append("weather")
    elif change == "field of a part became required":
        schema["$defs"]["Groups"]["required"].append("product_id")
    elif change == "field removed":
        del properties["reported_at"]
        schema["required"].remove("reported_at")
    elif change == "optional field removed":
        del properties["installation_id"]
    elif change == "one more value":
        properties["channel"]["enum"].append("carrier-pigeon")
    elif change == "other type":
        properties["version"] = {"type": "string"}
    elif change == "wider range":
        properties["severity"]["maximum"] = 5
    elif change == "no longer required":
        schema["required"].remove("title")
    return schema


def test_an_optional_field_is_the_one_compatible_addition() -> None:
    assert differences(OPENED, changed("optional field")) == []


@pytest.mark.parametrize(
    "change",
    [
        "required field",
        "field of a part became required",
        "field removed",
        "optional field removed",
        "one more value",
        "other type",
        "wider range",
        "no longer required",
    ],
)
def test_a_breaking_change_is_seen(change: str) -> None:
    assert differences(OPENED, changed(change)) != []


def test_the_schema_marks_exactly_the_personal_fields() -> None:
    properties = OPENED["properties"]
    marked = {name for name, schema in properties.items() if "x-personal" in json.dumps(schema)}
    assert marked == {"title", "description", "reporter", "reported_late_reason"}


def test_an_example_that_lacks_a_required_field_does_not_validate() -> None:
    value = example("desk.ticket.opened.v1")["value"]
    del value["groups"]["client_id"]
    with pytest.raises(ValidationError, match="client_id"):
        Draft202012Validator(OPENED).validate(value)


def test_writing_the_schemas_again_changes_nothing(tmp_path: Path) -> None:
    def nothing(_: Path) -> None:
        """Nothing was ever committed."""

    assert len(refresh(tmp_path / "schemas", tmp_path / "examples", nothing)) == len(ALL)
    assert refresh(tmp_path / "schemas", tmp_path / "examples", nothing) == []
    assert committed(tmp_path / "schemas") == set(ALL)


class Folder:
    """A repository of its own, with the schema of the opened ticket as an earlier commit has it, and its example."""

    name = "desk.ticket.opened.v1"

    def __init__(self, root: Path, old: dict[str, Any]) -> None:
        self.root, self.schemas, self.examples = root, root / "schemas", root / "examples"
        self.git("init", "--quiet")
        refresh(self.schemas, self.examples)
        self.examples.mkdir()
        (self.examples / f"{self.name}.json").write_text('{"value": {}}', encoding="utf-8")
        self.write(old)
        self.commit()

    def git(self, *words: str) -> None:
        """Runs git as somebody."""
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True)

    def write(self, schema: dict[str, Any]) -> None:
        """A draft in the working tree."""
        (self.schemas / f"{self.name}.json").write_text(render(schema), encoding="utf-8")

    def commit(self) -> None:
        """Promises what stands there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "-")

    def refresh(self) -> list[str]:
        """What `make contracts` says."""
        return refresh(self.schemas, self.examples)

    def kept(self) -> list[dict[str, Any]]:
        """The earlier versions."""
        return [read_json(path) for path in earlier_versions(self.schemas, self.name)]


def test_a_changed_schema_keeps_the_committed_version_and_that_versions_example(tmp_path: Path) -> None:
    old = changed("optional field removed")
    folder = Folder(tmp_path, old)
    (told,) = folder.refresh()
    assert told == "desk.ticket.opened.v1: changed, the earlier version is kept as earlier/desk.ticket.opened.v1/1.json"
    assert folder.kept() == [old]
    (kept_example,) = earlier_versions(folder.examples, folder.name)
    assert read_json(kept_example) == {"value": {}}
    assert folder.refresh() == []
    assert folder.kept() == [old], "saying it again keeps nothing twice"


def test_a_draft_is_no_promise(tmp_path: Path) -> None:
    old = changed("optional field removed")
    folder = Folder(tmp_path, old)
    for draft in ("one more value", "wider range"):
        folder.write(changed(draft))
        folder.refresh()
    assert folder.kept() == [old], "what was thought of in between was promised to nobody"


def test_a_change_that_is_taken_back_keeps_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OPENED)
    kept = folder.schemas / "earlier" / folder.name / "1.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(render(OPENED), encoding="utf-8")
    folder.write(changed("optional field removed"))
    folder.refresh()
    assert folder.kept() == []


def test_what_was_kept_and_committed_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path, changed("optional field removed"))
    folder.refresh()
    folder.commit()
    folder.write(changed("optional field removed"))
    folder.refresh()
    assert len(folder.kept()) == 1


def everything_in(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, and what is in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("without", ["a repository", "git"])
def test_where_nobody_knows_what_was_committed_nothing_is_written_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    """In an unpacked archive, or an image: all that was kept would look like a draft."""
    folder = Folder(tmp_path, changed("optional field removed"))
    folder.refresh()
    folder.commit()
    folder.write(changed("wider range"))
    if without == "git":
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    else:
        shutil.rmtree(tmp_path / ".git")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    before = everything_in(folder.root)
    with pytest.raises(NoCheckout, match=r"run `make contracts` in a git checkout"):
        folder.refresh()
    assert everything_in(folder.root) == before
    assert len(folder.kept()) == 1


def test_the_command_says_in_a_sentence_that_there_is_no_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    before = everything_in(HERE)
    assert generate.main() == 1
    assert capsys.readouterr().err.endswith("run `make contracts` in a git checkout.\n")
    assert everything_in(HERE) == before


def test_better_words_are_no_new_version(tmp_path: Path) -> None:
    old = deepcopy(OPENED)
    old["description"] = "An older description."
    old["properties"]["title"]["title"] = "Older"
    folder = Folder(tmp_path, old)
    assert folder.refresh() == ["desk.ticket.opened.v1: described anew"]
    assert folder.kept() == []


def test_a_property_called_title_is_not_taken_for_an_annotation() -> None:
    assert "title" in meaning(OPENED)["properties"]
    assert "title" not in meaning(OPENED)
