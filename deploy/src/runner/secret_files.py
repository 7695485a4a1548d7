"""`desk secrets`: every secret of an installation in containers, made once, one file each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from runner.errors import RunnerError
from runner.installation import SERVICES, database_of, owner_of, server_of
from runner.private_files import make_password, make_private_once
from shared import clock

DATABASE_HOST = "postgres:5432"
# The names of the brokers in compose.production.yaml; one certificate is good for all of them.
BROKERS = ("kafka", "kafka-2", "kafka-3", "localhost")
VALID = timedelta(days=800)

CA, CA_KEY = "kafka_ca", "kafka_ca_key"
BROKER, OPERATOR, OPERATOR_KEY = "kafka_broker", "kafka_operator", "kafka_operator_key"
BROKER_KEY = "kafka_broker_key"
# With these certificates are made; no container is given one, so that nobody but their owner need read them.
OWNERS_ALONE = (CA_KEY, BROKER_KEY)


class SecretFolder:
    """One folder of secrets. What is there already stays as it is."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder; only its owner can look into it. Raises RunnerError when others can."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            raise RunnerError(f"Others can look into {folder}: say `chmod 700 {folder}` first.")
        self.folder = folder
        self.made: list[str] = []

    def once(self, name: str, make: Callable[[], str]) -> str:
        """The content of a file, made when it is missing. Raises OSError; then nothing is left of the attempt.

        A container runs as another user, so what one is given is readable by all; its folder is what keeps it secret.
        """
        path = self.folder / name
        missing = not path.exists()
        content = make_private_once(path, make, 0o600 if name in OWNERS_ALONE else 0o444)
        if missing:
            self.made.append(name)
        return content


def make_secrets(folder: Path, outsiders: Sequence[str] = ()) -> list[str]:
    """Makes what is missing; the names of what it made. Raises RunnerError."""
    if odd := [name for name in outsiders if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name) or name in SERVICES]:
        raise RunnerError(
            f"Another system cannot be called {', '.join(odd)}: lower-case letters, and no service's name."
        )
    files = SecretFolder(folder)
    _make_database_secrets(files)
    for user in (*SERVICES, *outsiders):
        files.once(f"{user}_kafka_password", make_password)
    _make_certificates(files)
    return files.made


def _make_database_secrets(files: SecretFolder) -> None:
    files.once("postgres_password", make_password)
    passwords = {role(service): make_password() for service in SERVICES for role in (owner_of, server_of)}
    # The passwords are in this file and in the addresses; the addresses follow the file when it was there before.
    roles = files.once("database_roles", lambda: "".join(f"\\set {role} '{it}'\n" for role, it in passwords.items()))
    known = dict(re.findall(r"^\\set (\S+) '(.*)'$", roles, re.MULTILINE))
    for service in SERVICES:
        for name, role in ((f"{service}_database_url", server_of), (f"{service}_owner_database_url", owner_of)):
            user = role(service)
            address = f"postgresql://{user}:{known[user]}@{DATABASE_HOST}/{database_of(service)}"
            files.once(name, lambda address=address: address)  # type: ignore[misc]


def _make_certificates(files: SecretFolder) -> None:
    if (files.folder / CA).exists() and not (files.folder / CA_KEY).exists():
        # The key that signs is kept somewhere else, as it should be; another one would fit nothing that is here.
        if missing := [name for name in (BROKER, OPERATOR, OPERATOR_KEY) if not (files.folder / name).exists()]:
            raise RunnerError(f"{', '.join(missing)} must be signed: put {CA_KEY} back into {files.folder} for that.")
        return
    key = files.once(CA_KEY, _make_key)
    authority = files.once(CA, lambda: _sign("PSA Desk Kafka CA", key, key, None))
    broker = files.once(BROKER_KEY, _make_key)
    # One file for the broker: its key and the chain, as PEM key stores of Kafka want it.
    files.once(BROKER, lambda: broker + _sign("kafka", broker, key, authority, BROKERS) + authority)
    operator = files.once(OPERATOR_KEY, _make_key)
    files.once(OPERATOR, lambda: _sign("operator", operator, key, authority))


def _make_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _sign(name: str, key: str, ca_key: str, authority: str | None, hosts: Sequence[str] = ()) -> str:
    """A certificate for the key, signed by the authority; without one it is the authority's own."""
    signing, public = _load(ca_key), _load(key).public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.load_pem_x509_certificate(authority.encode()).subject if authority else subject
    now = clock.now()
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if hosts:
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    return built.sign(signing, hashes.SHA256()).public_bytes(Encoding.PEM).decode("ascii")


def _load(key: str) -> ec.EllipticCurvePrivateKey:
    loaded = load_pem_private_key(key.encode(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise RunnerError(f"The key of {CA} or of one of its certificates is not as it was made: remove them all.")
    return loaded
