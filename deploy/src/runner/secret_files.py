"""`desk secrets`: every secret of an installation in containers, one file each; only certificates are renewed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from runner.errors import RunnerError
from runner.installation import SERVICES, database_of, owner_of, server_of
from runner.private_files import make_password, make_private_once
from shared import clock

DATABASE_HOST = "postgres:5432"
# The names of the brokers in compose.production.yaml; one certificate is good for all of them.
BROKERS = ("kafka", "kafka-2", "kafka-3", "localhost")
# A certificate is signed again by the first `desk secrets` that finds less than this left of it.
AUTHORITY_VALID, VALID, RENEWED_BEFORE = timedelta(days=3650), timedelta(days=800), timedelta(days=60)
AUTHORITY_NAME = "PSA Desk Kafka CA"

ROLES = "database_roles"
ADDRESSES = {
    f"{service}_{kind}": (role(service), database_of(service))
    for service in SERVICES
    for kind, role in (("database_url", server_of), ("owner_database_url", owner_of))
}
CA, CA_KEY = "kafka_ca", "kafka_ca_key"
BROKER, OPERATOR, OPERATOR_KEY = "kafka_broker", "kafka_operator", "kafka_operator_key"
BROKER_KEY = "kafka_broker_key"
# With these certificates are made; no container is given one, so that nobody but their owner need read them.
OWNERS_ALONE = (CA_KEY, BROKER_KEY)
NOT_AS_MADE = f"The key of {CA} or of one of its certificates is not as it was made: remove them all."


class SecretFolder:
    """One folder of secrets. What is there already stays as it is, until somebody asks for it `again`."""

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
        missing = not self.has(name)
        content = make_private_once(self.folder / name, make, _mode_of(name))
        if missing:
            self.made.append(name)
        return content

    def again(self, name: str, make: Callable[[], str]) -> str:
        """The new content of a file, put in the place of the old one in one step. Raises OSError; the old one stays."""
        new = self.folder / f".{name}.{secrets.token_hex(8)}"
        content = make_private_once(new, make, _mode_of(name))
        new.replace(self.folder / name)
        self.made.append(name)
        return content

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).exists()

    def certificate(self, name: str) -> x509.Certificate:
        """The first certificate of a file. Raises RunnerError where it holds none, OSError where it is not there."""
        try:
            return x509.load_pem_x509_certificates((self.folder / name).read_bytes())[0]
        except ValueError as error:
            raise RunnerError(f"{name} in {self.folder} holds no certificate in the form of PEM.") from error


def _mode_of(name: str) -> int:
    return 0o600 if name in OWNERS_ALONE else 0o444


def make_secrets(folder: Path, outsiders: Sequence[str] = ()) -> list[str]:
    """Makes what is missing, signs again what ends soon; the names of what it made or signed. Raises RunnerError."""
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


def tell_validity(folder: Path, made: Sequence[str]) -> str:
    """Until when all certificates are good, and what to do after `make_secrets` made some, or could not.

    Raises RunnerError.
    """
    files = SecretFolder(folder)
    end = min(files.certificate(name).not_valid_after_utc for name in (CA, BROKER, OPERATOR))
    told = f"the certificates of Kafka are good until {end:%Y-%m-%d}"
    if _is_near(end) and not files.has(CA_KEY):
        told += f": put {CA_KEY} back into {folder} and say this again"
    if BROKER in made:
        told += "; a broker reads its own when it starts"
    return told


def _make_database_secrets(files: SecretFolder) -> None:
    if not files.has(ROLES) and (left := [name for name in ADDRESSES if files.has(name)]):
        raise RunnerError(
            f"{', '.join(left)} hold passwords that new roles would not have: put {ROLES} back into {files.folder}, "
            "or remove these addresses too."
        )
    files.once("postgres_password", make_password)
    wanted = {user: make_password() for user, _ in ADDRESSES.values()}
    # The passwords are in this file and in the addresses; the addresses follow the file when it was there before.
    roles = files.once(ROLES, lambda: "".join(f"\\set {role} '{it}'\n" for role, it in wanted.items()))
    known = _passwords_in(roles)
    if lacking := [user for name, (user, _) in ADDRESSES.items() if user not in known and not files.has(name)]:
        raise RunnerError(
            f"{ROLES} in {files.folder} gives no password for {', '.join(lacking)}: write a line for each, such as "
            f"\\set {lacking[0]} 'PASSWORD' (in single quotes, without a backslash in it)."
        )
    for name, (user, database) in ADDRESSES.items():
        if not files.has(name):
            address = f"postgresql://{quote(user, safe='')}:{quote(known[user], safe='')}@{DATABASE_HOST}/{database}"
            files.once(name, lambda address=address: address)  # type: ignore[misc]


def _passwords_in(roles: str) -> dict[str, str]:
    """Each role's password, as psql reads it: two quotes stand for one. Lines written otherwise are left out."""
    found = re.findall(r"^[ \t]*\\set[ \t]+(\S+)[ \t]+'((?:[^'\\\n]|'')+)'[ \t]*$", roles, re.MULTILINE)
    return {role: password.replace("''", "'") for role, password in found}


def _make_certificates(files: SecretFolder) -> None:
    if not files.has(CA_KEY) and any(files.has(name) for name in (CA, BROKER, OPERATOR)):
        # The key that signs is kept somewhere else, as it should be; another one would fit nothing that is here.
        if missing := [name for name in (CA, BROKER, OPERATOR, OPERATOR_KEY) if not files.has(name)]:
            raise RunnerError(
                f"{', '.join(missing)} must be signed: put {CA_KEY} back into {files.folder} for that. "
                f"Where it is lost, remove every {CA}*, {BROKER}* and {OPERATOR}*: all are made anew then."
            )
        return
    key = files.once(CA_KEY, _make_key)
    authority = _make_authority(files, key)
    broker = files.once(BROKER_KEY, _make_key)
    # One file for the broker: its key and the chain, as PEM key stores of Kafka want it.
    _make_signed(files, BROKER, lambda: broker + _sign("kafka", broker, key, authority, BROKERS) + authority)
    operator = files.once(OPERATOR_KEY, _make_key)
    _make_signed(files, OPERATOR, lambda: _sign("operator", operator, key, authority), operator)


def _make_authority(files: SecretFolder, key: str) -> str:
    """The authority's certificate; our own is signed again with its key before it would end under what it signs."""
    content = files.once(CA, lambda: _sign(AUTHORITY_NAME, key, key, None))
    held = files.certificate(CA)
    if held.public_key() != _load(key).public_key():
        raise RunnerError(f"{CA_KEY} is not the key of {CA}: put the right one into {files.folder}, or take it away.")
    if held.subject == _name(AUTHORITY_NAME) and held.not_valid_after_utc < clock.now() + VALID:
        content = files.again(CA, lambda: _sign(AUTHORITY_NAME, key, key, None))
    return content


def _make_signed(files: SecretFolder, name: str, make: Callable[[], str], key: str | None = None) -> None:
    """Makes a certificate where it is missing, ends soon, is not of its key, or stands under a new authority."""
    files.once(name, make)
    if name in files.made:
        return
    held = files.certificate(name)
    is_of_another_key = key is not None and held.public_key() != _read_key(key).public_key()
    if is_of_another_key or CA in files.made or _is_near(held.not_valid_after_utc):
        files.again(name, make)


def _is_near(end: datetime) -> bool:
    return end < clock.now() + RENEWED_BEFORE


def _make_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _sign(name: str, key: str, ca_key: str, authority: str | None, hosts: Sequence[str] = ()) -> str:
    """A certificate for the key, signed by the authority; without one it is the authority's own."""
    signing, public = _load(ca_key), _load(key).public_key()
    subject = _name(name)
    issuer = x509.load_pem_x509_certificate(authority.encode()).subject if authority else subject
    now = clock.now()
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + (VALID if authority else AUTHORITY_VALID))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(_usage(signs=authority is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if hosts:
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    return built.sign(signing, hashes.SHA256()).public_bytes(Encoding.PEM).decode("ascii")


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    """What the key is for: Python from 3.13 on refuses an authority that does not say so."""
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _load(key: str) -> ec.EllipticCurvePrivateKey:
    loaded = _read_key(key)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise RunnerError(NOT_AS_MADE)
    return loaded


def _read_key(key: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(key.encode(), None)
    except (TypeError, ValueError) as error:
        raise RunnerError(NOT_AS_MADE) from error
