"""The settings of the devlink service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import ServiceSettings


class PublicAddress(BaseSettings):
    """Where people reach this service: every task carries its address, so that one click leads to it."""

    model_config = SettingsConfigDict(env_prefix="DESK_", extra="ignore", frozen=True)

    public_url: str = Field(default="http://127.0.0.1:8440", pattern=r"^https?://\S+$")

    def task_url(self, task_id: object) -> str:
        """The address of one task."""
        return f"{self.public_url.rstrip('/')}/v1/tasks/{task_id}"


class Settings(ServiceSettings, PublicAddress):
    """What every service has, and the public address."""
