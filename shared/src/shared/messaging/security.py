"""How a client proves to Kafka who it is, and how it knows the brokers: TLS, and SCRAM-SHA-512 over TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from shared.errors import Invalid
from shared.settings import KafkaSettings

MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True)
class Security:
    """The settings of one client; the default is none, for a broker on this machine."""

    protocol: str = "PLAINTEXT"
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password: SecretStr | None = None

    @classmethod
    def of(cls, settings: KafkaSettings) -> Security:
        """What the settings say."""
        return cls(
            protocol=settings.kafka_security,
            ca_file=settings.kafka_ca_file,
            certificate_file=settings.kafka_certificate_file,
            key_file=settings.kafka_key_file,
            username=settings.kafka_username,
            password=settings.kafka_password,
        )

    @property
    def has_login(self) -> bool:
        """Whether a name and a password are given over TLS."""
        return self.protocol == "SASL_SSL"

    def context(self) -> ssl.SSLContext | None:
        """What TLS trusts and shows; None without TLS. Raises Invalid for a file that cannot be read or is none."""
        if self.protocol == "PLAINTEXT":
            return None
        try:
            made = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                made.load_cert_chain(self.certificate_file, self.key_file)
        except OSError as error:  # SSLError is one
            files = ", ".join(one for one in (self.ca_file, self.certificate_file, self.key_file) if one)
            raise Invalid(f"the certificates for Kafka cannot be used ({files}): {error}") from error
        return made

    def options(self) -> dict[str, Any]:
        """The arguments with which a client of aiokafka is made."""
        if self.protocol == "PLAINTEXT":
            return {}
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.context()}
        if self.has_login:
            options |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.secret(),
            }
        return options

    def secret(self) -> str:
        """The password itself; empty without one."""
        return self.password.get_secret_value() if self.password is not None else ""
