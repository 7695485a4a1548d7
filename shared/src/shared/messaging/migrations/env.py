"""Alembic's entry point."""

from shared.db.alembic_env import run

run()
