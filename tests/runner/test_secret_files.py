"""The secrets of an installation in containers: made once, kept, closed to others, and fitting together."""

from __future__ import annotations

import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from runner.errors import RunnerError
from runner.installation import SERVICES
from runner.secret_files import BROKERS, CA_KEY, OWNERS_ALONE, make_secrets
from tests.runner.test_private_files import attempt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was just filled."""
    made = tmp_path_factory.mktemp("installation") / "secrets"
    make_secrets(made, ["reports"])
    return made


def read(folder: Path) -> dict[str, str]:
    """Name and content of every file."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


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


def test_the_certificates_are_signed_by_the_authority_and_name_the_brokers(folder: Path, tmp_path: Path) -> None:
    files = read(folder)
    broker = x509.load_pem_x509_certificates(files["kafka_broker"].encode())[0]
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == set(BROKERS)
    authority = x509.load_pem_x509_certificate(files["kafka_ca"].encode())
    operator = x509.load_pem_x509_certificate(files["kafka_operator"].encode())
    for signed in (broker, operator):
        signed.verify_directly_issued_by(authority)
    # As a client and as a broker load them.
    ssl.create_default_context(cafile=str(folder / "kafka_ca")).load_cert_chain(
        folder / "kafka_operator", folder / "kafka_operator_key"
    )
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "kafka_broker")


def test_the_key_that_signs_may_be_kept_somewhere_else_until_something_must_be_signed(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    (folder / CA_KEY).unlink()
    assert make_secrets(folder, ["reports"]) == ["reports_kafka_password"]
    (folder / "kafka_operator").unlink()
    with pytest.raises(RunnerError, match="kafka_operator must be signed: put kafka_ca_key back"):
        make_secrets(folder)
    assert not (folder / CA_KEY).exists()


@pytest.mark.parametrize("name", ["Reports", "../etc", "sla", "", "a b"])
def test_another_system_is_called_something_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunnerError, match="cannot be called"):
        make_secrets(tmp_path / "secrets", [name])


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    words = [".venv/bin/desk", "secrets", str(tmp_path / "secrets")]
    root = Path(__file__).resolve().parents[2]
    first, again = (
        subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert "secrets made" in first
    assert "nothing was missing" in again
