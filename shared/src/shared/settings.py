"""The settings that every service has, from the environment and from nowhere else."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

# A setting may also be a file of the folder that this variable names, as container engines hand out secrets: the file
# has the setting's name in lower case. The environment comes first.
SECRETS_FOLDER = "DESK_SECRETS_FOLDER"


class KafkaSettings(BaseSettings):
    """Where Kafka is, and as whom it is reached."""

    model_config = SettingsConfigDict(env_prefix="DESK_", extra="ignore", frozen=True)

    kafka_bootstrap: str = "127.0.0.1:8496"
    topic_prefix: str = ""
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="SASL_SSL: TLS and SCRAM-SHA-512; SSL: TLS, and a certificate if one is given"
    )
    kafka_ca_file: str | None = Field(default=None, description="who signs the brokers' certificates; unset: the usual")
    kafka_certificate_file: str | None = Field(default=None, description="this client's own certificate, PEM")
    kafka_key_file: str | None = Field(default=None, description="the key of that certificate, PEM")
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then files of the folder of secrets where there is one."""
        folder = os.environ.get(SECRETS_FOLDER)
        files = (SecretsSettingsSource(settings_cls, secrets_dir=folder),) if folder else ()
        return (init_settings, env_settings, *files)

    @model_validator(mode="after")
    def _are_whole(self) -> Self:
        if self.kafka_security == "SASL_SSL" and not (self.kafka_username and self.kafka_password):
            raise ValueError("DESK_KAFKA_SECURITY=SASL_SSL needs DESK_KAFKA_USERNAME and DESK_KAFKA_PASSWORD")
        if bool(self.kafka_certificate_file) != bool(self.kafka_key_file):
            raise ValueError("DESK_KAFKA_CERTIFICATE_FILE and DESK_KAFKA_KEY_FILE are given both or not at all")
        return self


class ServiceSettings(KafkaSettings):
    """One name per setting, the same in every service; DESK_HOST and DESK_PORT are this process's own address.

    Traces keep OpenTelemetry's standard names, so that whoever runs a collector need not learn ours: spans are exported
    (http/protobuf) when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names one, and its other
    variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_SDK_DISABLED, ...) mean what they mean
    everywhere. Set them for all services or for none, or traces have holes.
    """

    env: Literal["development", "production"] = "development"
    database_url: SecretStr = Field(description="the serving role: no UPDATE or DELETE on history and archive")
    owner_database_url: SecretStr | None = Field(default=None, description="the owner role; only `migrate` needs it")
    kafka_session_timeout_ms: int = Field(default=10_000, ge=500, description="after it a dead consumer is replaced")
    kafka_request_timeout_seconds: float = Field(default=10, gt=0, description="after it a send counts as failed")
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: any free port, printed in the log")
    oidc_issuer: str = "http://127.0.0.1:8490"
    database_pool_size: int = Field(default=10, ge=2, le=100)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
