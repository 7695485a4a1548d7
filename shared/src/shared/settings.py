"""The settings that every service has, from the environment and from nowhere else."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """One name per setting, the same in every service; DESK_HOST and DESK_PORT are this process's own address."""

    model_config = SettingsConfigDict(env_prefix="DESK_", extra="ignore", frozen=True)

    env: Literal["development", "production"] = "development"
    database_url: SecretStr = Field(description="the serving role: no UPDATE or DELETE on history and archive")
    owner_database_url: SecretStr | None = Field(default=None, description="the owner role; only `migrate` needs it")
    kafka_bootstrap: str = "127.0.0.1:8496"
    topic_prefix: str = ""
    kafka_session_timeout_ms: int = Field(default=10_000, ge=500, description="after it a dead consumer is replaced")
    kafka_request_timeout_seconds: float = Field(default=10, gt=0, description="after it a send counts as failed")
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: any free port, printed in the log")
    oidc_issuer: str = "http://127.0.0.1:8490"
    database_pool_size: int = Field(default=10, ge=2, le=100)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
