"""The secrets of an installation in containers: made once, kept, closed to others, and fitting together."""

from __future__ import annotations

import re
import ssl
import stat
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import time_machine
from cryptography import x509
from sqlalchemy.engine import make_url

from runner.errors import RunnerError
from runner.installation import SERVICES, command
from runner.secret_files import BROKERS, CA_KEY, OWNERS_ALONE, make_secrets, tell_validity
from shared import clock
from shared.db.engine import plain_url
from shared.messaging.security import Security
from tests.runner.test_private_files import attempt

SIGNED = ("kafka_broker", "kafka_operator")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was just filled."""
    made = tmp_path_factory.mktemp("installation") / "secrets"
    make_secrets(made, ["reports"])
    return made


def read(folder: Path) -> dict[str, str]:
    """Name and content of every file."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def end_of(folder: Path, name: str) -> datetime:
    """When the first certificate of a file ends."""
    return x509.load_pem_x509_certificates((folder / name).read_bytes())[0].not_valid_after_utc


def write_over(path: Path, text: str) -> None:
    """What whoever owns the folder does: put something of one's own in the place of what was made."""
    path.unlink()
    path.write_text(text, encoding="utf-8")


def shake_hands(folder: Path, host: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A broker and the operator meet by TLS as Python 3.13 judges it; each asks for the other's certificate.

    Client and server after the handshake. Raises ssl.SSLError where one refuses the other.
    """
    authority, certificate, key = (str(folder / name) for name in ("kafka_ca", "kafka_operator", "kafka_operator_key"))
    asking = Security("SSL", ca_file=authority, certificate_file=certificate, key_file=key).context()
    answering = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answering.load_cert_chain(folder / "kafka_broker")
    answering.load_verify_locations(folder / "kafka_ca")
    answering.verify_mode = ssl.CERT_REQUIRED
    assert asking is not None
    for context in (asking, answering):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname=host)
    server = answering.wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        for end in tuple(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return client, server


def test_nobody_else_can_look_into_the_folder_and_every_container_can_read_its_file(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {modes.pop(name) for name in OWNERS_ALONE} == {0o600}
    assert set(modes.values()) == {0o444}


def test_a_disk_that_takes_nothing_leaves_no_empty_secret_to_be_taken_for_one(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make = "from runner.secret_files import make_secrets; make_secrets(Path(sys.argv[1]))"
    done = attempt(make, folder)
    assert done.returncode == 1
    assert f"File too large: '{folder / 'postgres_password'}'" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_folder_into_which_others_can_look_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(RunnerError, match="chmod 700"):
        make_secrets(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays_and_what_is_missing_is_made(folder: Path) -> None:
    before = read(folder)
    (folder / "sla_kafka_password").unlink()
    assert make_secrets(folder, ["reports"]) == ["sla_kafka_password"]
    after = read(folder)
    assert before.pop("sla_kafka_password") != after.pop("sla_kafka_password")
    assert after == before


@pytest.mark.parametrize("service", SERVICES)
def test_the_addresses_hold_the_passwords_that_the_roles_get(folder: Path, service: str) -> None:
    roles = dict(line.removeprefix("\\set ").split(" ") for line in read(folder)["database_roles"].splitlines())
    for name, role in ((f"{service}_database_url", "service"), (f"{service}_owner_database_url", "owner")):
        password = roles[f"desk_{service}_{role}"].strip("'")
        wanted = f"postgresql://desk_{service}_{role}:{password}@postgres:5432/desk_{service}"
        assert read(folder)[name] == wanted


def test_no_two_secrets_are_equal(folder: Path) -> None:
    contents = list(read(folder).values())
    assert len(set(contents)) == len(contents)


def test_the_certificates_are_signed_by_the_authority_and_name_the_brokers(folder: Path) -> None:
    files = read(folder)
    broker = x509.load_pem_x509_certificates(files["kafka_broker"].encode())[0]
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == set(BROKERS)
    authority = x509.load_pem_x509_certificate(files["kafka_ca"].encode())
    operator = x509.load_pem_x509_certificate(files["kafka_operator"].encode())
    for signed in (broker, operator):
        signed.verify_directly_issued_by(authority)


def test_each_certificate_says_what_its_key_is_for(folder: Path) -> None:
    authority = x509.load_pem_x509_certificate((folder / "kafka_ca").read_bytes())
    signing = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    for name in ("kafka_ca", *SIGNED):
        found = x509.load_pem_x509_certificates((folder / name).read_bytes())[0].extensions
        usage = found.get_extension_for_class(x509.KeyUsage)
        signs = name == "kafka_ca"
        assert usage.critical
        assert (usage.value.key_cert_sign, usage.value.crl_sign) == (signs, signs)
        assert usage.value.digital_signature is not signs
        assert found.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == signing


@pytest.mark.parametrize("host", BROKERS)
def test_a_broker_and_the_operator_accept_each_other_as_strictly_as_python_3_13_judges(folder: Path, host: str) -> None:
    client, server = shake_hands(folder, host)
    assert (client.version(), server.version()) == ("TLSv1.3", "TLSv1.3")
    shown = server.getpeercert()
    assert shown is not None
    assert shown["subject"] == ((("commonName", "operator"),),)


def test_a_certificate_of_another_authority_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "secrets"
    make_secrets(other)
    for name in ("kafka_operator", "kafka_operator_key"):
        write_over(other / name, (folder / name).read_text(encoding="utf-8"))
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(other, "kafka")


def test_the_key_that_signs_may_be_kept_somewhere_else_until_something_must_be_signed(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    (folder / CA_KEY).unlink()
    assert make_secrets(folder, ["reports"]) == ["reports_kafka_password"]
    (folder / "kafka_operator").unlink()
    with pytest.raises(RunnerError, match="kafka_operator must be signed: put kafka_ca_key back"):
        make_secrets(folder)
    assert not (folder / CA_KEY).exists()


@pytest.mark.parametrize("there", [("kafka_ca",), ("kafka_broker",), ("kafka_operator", "kafka_operator_key"), SIGNED])
def test_without_the_key_that_signs_nothing_is_made_beside_what_it_signed(
    tmp_path: Path, there: tuple[str, ...]
) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    for path in folder.glob("kafka_*"):
        if path.name not in there:
            path.unlink()
    before = read(folder)
    with pytest.raises(RunnerError, match="must be signed: put kafka_ca_key back") as refused:
        make_secrets(folder)
    assert "remove every kafka_ca*, kafka_broker* and kafka_operator*" in refused.value.message
    assert read(folder) == before


def test_where_everything_that_was_signed_is_removed_everything_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    for path in folder.glob("kafka_*"):
        path.unlink()
    make_secrets(folder)
    shake_hands(folder, "kafka")


@pytest.mark.parametrize(
    "lost", ["kafka_ca", "kafka_broker", "kafka_broker_key", "kafka_operator", "kafka_operator_key"]
)
def test_whatever_is_lost_beside_the_key_that_signs_all_fits_together_again(tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    (folder / lost).unlink()
    assert lost in make_secrets(folder)
    shake_hands(folder, "kafka")


def test_a_key_that_is_not_the_authoritys_signs_nothing(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "secrets"
    make_secrets(other)
    write_over(other / "kafka_ca", (folder / "kafka_ca").read_text(encoding="utf-8"))
    before = read(other)
    with pytest.raises(RunnerError, match="kafka_ca_key is not the key of kafka_ca"):
        make_secrets(other)
    assert read(other) == before


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kafka_broker", "kafka_broker in .* holds no certificate"),
        ("kafka_ca_key", "not as it was made"),
        ("kafka_operator_key", "not as it was made"),
    ],
)
def test_a_file_of_ones_own_that_cannot_be_read_is_told(tmp_path: Path, name: str, told: str) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    write_over(folder / name, "something else")
    with pytest.raises(RunnerError, match=told):
        make_secrets(folder)


@pytest.mark.parametrize("days", [745, 3000])
def test_what_ends_soon_or_has_ended_is_signed_again_and_the_keys_stay(tmp_path: Path, days: int) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    before = read(folder)
    with time_machine.travel(clock.now() + timedelta(days=days), tick=False):
        made = make_secrets(folder)
        assert {*SIGNED} <= {*made} <= {*SIGNED, "kafka_ca"}
        assert all(end_of(folder, name) == clock.now().replace(microsecond=0) + timedelta(days=800) for name in SIGNED)
        assert all(end_of(folder, name) <= end_of(folder, "kafka_ca") for name in SIGNED)
        assert make_secrets(folder) == []
    assert {name for name, text in read(folder).items() if text != before[name]} == {*made}
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in made} == {0o444}


def test_a_certificate_that_is_good_for_more_than_sixty_days_stays(folder: Path) -> None:
    with time_machine.travel(clock.now() + timedelta(days=735)):
        assert make_secrets(folder, ["reports"]) == []


def test_the_authority_lives_ten_years_and_longer_than_what_it_signs(folder: Path) -> None:
    assert end_of(folder, "kafka_ca") - clock.now() > timedelta(days=3640)


def test_an_authority_that_would_end_before_what_it_signs_is_signed_again_with_its_key(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    held = x509.load_pem_x509_certificate((folder / "kafka_ca").read_bytes())
    with time_machine.travel(clock.now() + timedelta(days=3000)):
        make_secrets(folder)
        renewed = x509.load_pem_x509_certificate((folder / "kafka_ca").read_bytes())
        assert renewed.not_valid_after_utc - clock.now() > timedelta(days=3640)
    # Whoever still holds the old one trusts what was signed now, until it ends itself.
    for name in SIGNED:
        x509.load_pem_x509_certificates((folder / name).read_bytes())[0].verify_directly_issued_by(held)


def test_signing_again_on_a_full_disk_leaves_the_old_certificates(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    with time_machine.travel(clock.now() - timedelta(days=790)):
        make_secrets(folder)
    before = read(folder)
    make = "from runner.secret_files import make_secrets; make_secrets(Path(sys.argv[1]))"
    done = attempt(make, folder)
    assert (done.returncode, "File too large" in done.stderr) == (1, True)
    assert read(folder) == before


def test_it_is_told_until_when_the_certificates_are_good(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = make_secrets(folder)
    until = f"{end_of(folder, 'kafka_broker'):%Y-%m-%d}"
    assert tell_validity(folder, []) == f"the certificates of Kafka are good until {until}"
    assert tell_validity(folder, made).endswith(f"good until {until}; a broker reads its own when it starts")
    (folder / CA_KEY).unlink()
    with time_machine.travel(clock.now() + timedelta(days=745)):
        assert make_secrets(folder) == []
        assert tell_validity(folder, []) == (
            f"the certificates of Kafka are good until {until}: put kafka_ca_key back into {folder} and say this again"
        )


@pytest.mark.parametrize("line", ["", "\\set desk_sla_owner secret", "\\set desk_sla_owner 'a\\b'"])
def test_a_role_without_a_password_is_named_and_what_to_write(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    roles = (folder / "database_roles").read_text(encoding="utf-8")
    kept = re.sub(r"^.set desk_sla_owner .*$", lambda _: line, roles, flags=re.MULTILINE)
    write_over(folder / "database_roles", kept)
    assert make_secrets(folder) == [], "no address is missing"
    (folder / "sla_owner_database_url").unlink()
    with pytest.raises(RunnerError, match="no password for desk_sla_owner: write a line") as refused:
        make_secrets(folder)
    assert "\\set desk_sla_owner 'PASSWORD'" in refused.value.message
    assert not (folder / "sla_owner_database_url").exists()


def test_an_address_holds_any_password_so_that_services_and_driver_read_it_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    password = "p@ss:/?#[%41] '+&"
    roles = (folder / "database_roles").read_text(encoding="utf-8")
    quoted = password.replace("'", "''")
    write_over(
        folder / "database_roles",
        re.sub(r"(?<=desk_sla_owner )'.*'", lambda _: f"'{quoted}'", roles),
    )
    (folder / "sla_owner_database_url").unlink()
    assert make_secrets(folder) == ["sla_owner_database_url"]
    address = read(folder)["sla_owner_database_url"]
    read_by_service, read_by_driver = make_url(address), urlsplit(plain_url(address))
    assert (read_by_service.username, read_by_service.password) == ("desk_sla_owner", password)
    assert (read_by_service.host, read_by_service.port, read_by_service.database) == ("postgres", 5432, "desk_sla")
    assert (read_by_driver.username, unquote(read_by_driver.password or "")) == ("desk_sla_owner", password)
    assert (read_by_driver.hostname, read_by_driver.port, read_by_driver.path) == ("postgres", 5432, "/desk_sla")


def test_new_passwords_are_not_made_beside_addresses_that_hold_the_old_ones(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    (folder / "database_roles").unlink()
    before = read(folder)
    with pytest.raises(RunnerError, match="tickets_database_url.* hold passwords .* put database_roles back"):
        make_secrets(folder)
    assert read(folder) == before


@pytest.mark.parametrize("name", ["Reports", "../etc", "sla", "", "a b"])
def test_another_system_is_called_something_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunnerError, match="cannot be called"):
        make_secrets(tmp_path / "secrets", [name])


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    words = command("runner.cli", "secrets", str(tmp_path / "secrets"))
    first, again = (subprocess.run(words, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert "secrets made" in first
    assert "nothing was missing" in again
    until = f"good until {end_of(tmp_path / 'secrets', 'kafka_broker'):%Y-%m-%d}"
    assert until in first
    assert until in again
