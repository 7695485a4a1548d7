"""What the runtime's own tables held before a revision, and what became of it."""

from __future__ import annotations

from pathlib import Path

from tests.support.earlier import carried_over


async def test_what_could_not_be_sent_stays_held_back_under_its_new_name(postgres_url: str, tmp_path: Path) -> None:
    inserts = ["INSERT INTO runtime.unsendable VALUES ('desk.tickets.v1', 'k', 7, 'too large', '2026-11-02')"]
    async with carried_over(postgres_url, tmp_path, "runtime", "0005", inserts) as rows:
        assert await rows("SELECT topic, key, position FROM runtime.blocked_rows") == [("desk.tickets.v1", "k", 7)]
        assert await rows("SELECT version_num FROM runtime.alembic") == [("runtime_0005",)]
        assert await rows("SELECT to_regclass('runtime.set_aside')::text") == [(None,)], "and no further"
