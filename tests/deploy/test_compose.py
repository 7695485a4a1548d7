"""The compose files: every process there, apart, in order, without privileges, limited, and closed to the outside."""

from __future__ import annotations

import copy
import itertools
import re
from typing import Any

import pytest

from runner.postgres import SETTINGS
from runner.secret_files import OWNERS_ALONE
from shared.settings import ServiceSettings
from tests.deploy.files import DEPLOY, PARTS, SERVICES, Document, compose, given

FILES = {"development": ("compose.yaml",), "production": ("compose.yaml", "compose.production.yaml")}
BROKERS = ("kafka", "kafka-2", "kafka-3")
SERVERS = ("postgres", *BROKERS)
DEMO = {"issuer", "inventory-demo", "sla-demo", "tickets-demo"}
SERVERS_OF = {"development": {"postgres", "kafka"}, "production": set(SERVERS)}
# What a process opens besides its pool: its hints, and what leads (a relay, the jobs).
BESIDE_THE_POOL = 2
# Four migrations, commands of operators, administrators, and what PostgreSQL keeps for these.
OTHERS = 50
# PostgreSQL's own: checkpoints, vacuum, input and output.
OWN_PROCESSES = 30


def problems_of(name: str, service: Document) -> list[str]:
    """What a container lacks."""
    once = service.get("restart") == "no"
    told = []
    if service.get("read_only") is not True:
        told.append("its root can be written")
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add") or service.get("privileged"):
        told.append("it has capabilities")
    if "no-new-privileges:true" not in service.get("security_opt", []):
        told.append("it may gain privileges")
    if not {"mem_limit", "cpus", "pids_limit"} <= set(service):
        told.append("it has no limits")
    if service.get("logging", {}).get("options", {}).get("max-size") is None:
        told.append("its log grows for ever")
    # Our own images bring a health check with them; a file need only leave it in force.
    healthy = service.get("healthcheck", {"test": service.get("image", "").startswith("psa-desk-")})
    if not (healthy.get("disable") if once else healthy.get("test")):
        told.append("a command has no health, everything else must have")
    if not once and service.get("restart") != "unless-stopped":
        told.append("it stays down")
    if service.get("user") == "root" or service.get("network_mode") or service.get("pid") or service.get("ipc"):
        told.append("it is not apart from the machine")
    told += [
        f"published to everybody: {port}" for port in service.get("ports", []) if not port.startswith("127.0.0.1:")
    ]
    told += [
        f"a writable folder of the machine: {mount}" for mount in service.get("volumes", []) if _is_writable_bind(mount)
    ]
    if not re.search(r":(\d|\$\{DESK_VERSION)", service.get("image", "")):
        told.append("its image is not pinned")
    return [f"{name}: {one}" for one in told]


def _is_writable_bind(mount: str) -> bool:
    return mount.startswith((".", "/", "~")) and not mount.endswith(":ro")


@pytest.fixture(params=FILES)
def services(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The services of an installation."""
    found: dict[str, Any] = compose(*FILES[request.param])["services"]
    return found


def test_no_container_lacks_anything(services: dict[str, Any]) -> None:
    assert [told for name, service in services.items() for told in problems_of(name, service)] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"read_only": False}, "written"),
        ({"cap_add": ["NET_ADMIN"]}, "capabilities"),
        ({"security_opt": []}, "privileges"),
        ({"mem_limit": None}, None),
        ({"restart": "always"}, "down"),
        ({"ports": ["8410:8000"]}, "everybody"),
        ({"ports": ["0.0.0.0:8410:8000"]}, "everybody"),
        ({"volumes": ["/var/run/docker.sock:/var/run/docker.sock"]}, "folder"),
        ({"network_mode": "host"}, "apart"),
        ({"image": "psa-desk-tickets"}, "pinned"),
        ({"healthcheck": {}}, "health"),
        ({"healthcheck": {"disable": True}}, "health"),
        ({"image": "postgres:18"}, "health"),
    ],
)
def test_what_a_container_lacks_is_seen(change: Document, said: str | None) -> None:
    service = copy.deepcopy(compose("compose.yaml")["services"]["tickets-api"])
    if said is None:
        del service["mem_limit"]
        said = "limits"
    else:
        service.update(change)
    assert any(said in told for told in problems_of("tickets-api", service))


@pytest.mark.parametrize("kind", FILES)
def test_every_process_of_every_service_is_there_and_nothing_else(kind: str) -> None:
    found = set(compose(*FILES[kind])["services"])
    processes = {f"{service}-{part}" for service in SERVICES for part in PARTS}
    once = {"databases", "topics", *[f"{service}-migrate" for service in SERVICES]}
    assert found == processes | once | SERVERS_OF[kind] | DEMO | ({"access"} if kind == "production" else set())


def test_what_is_for_trying_out_starts_only_when_it_is_asked_for(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if service.get("profiles") == ["demo"]} == DEMO


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_waits_for_what_it_needs_and_for_no_more(services: dict[str, Any], service: str) -> None:
    done = {"condition": "service_completed_successfully"}
    migrated = {f"{service}-migrate": done}
    assert services[f"{service}-migrate"]["depends_on"] == {"databases": done}
    # Tickets are opened while the broker is down, so an api must start then too.
    assert services[f"{service}-api"]["depends_on"] == services[f"{service}-jobs"]["depends_on"] == migrated
    for part in ("consumer", "relay"):
        assert services[f"{service}-{part}"]["depends_on"] == {**migrated, "topics": done}


def test_in_production_rights_come_before_topics_and_brokers_before_rights() -> None:
    services = compose(*FILES["production"])["services"]
    assert services["topics"]["depends_on"]["access"] == {"condition": "service_completed_successfully"}
    assert set(services["access"]["depends_on"]) == {"kafka", "kafka-2", "kafka-3"}


def test_rights_are_set_by_the_tools_of_the_broker_s_own_image_with_files_that_exist() -> None:
    services = compose(*FILES["production"])["services"]
    access = services["access"]
    assert access["image"] == services["kafka"]["image"]
    (mount,) = access["volumes"]
    folder, target, mode = mount.split(":")
    assert mode == "ro"
    (shell, program) = access["entrypoint"]
    assert shell == "sh"
    script = DEPLOY / folder / program.removeprefix(f"{target}/")
    assert (DEPLOY / folder / "rights.sh").is_file()
    passwords = {secret for secret in access["secrets"] if secret.endswith("_kafka_password")}
    assert passwords == {f"{service}_kafka_password" for service in SERVICES}
    read = set(re.findall(r"DESK_KAFKA_[A-Z_]+", script.read_text(encoding="utf-8")))
    assert read <= {*given(DEPLOY / "env" / "operator.env"), "DESK_KAFKA_OUTSIDERS"}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("part", PARTS)
def test_a_serving_process_is_given_its_own_secrets_only(service: str, part: str) -> None:
    """Never the owner's address, with which it could change history, nor what belongs to another service."""
    found = compose(*FILES["production"])["services"][f"{service}-{part}"]["secrets"]
    sources = {one if isinstance(one, str) else one["source"] for one in found}
    assert sources == {"kafka_ca", f"{service}_kafka_password", f"{service}_database_url"}


def test_the_servers_are_reached_from_inside_only(services: dict[str, Any]) -> None:
    for name in SERVERS:
        if name in services:
            assert "ports" not in services[name]
            assert services[name]["networks"] == ["inside"]
    assert {name for name, service in services.items() if "edge" in service.get("networks", [])} == {
        *[f"{service}-api" for service in SERVICES], "issuer",
    }  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_the_inner_network_leads_nowhere(kind: str) -> None:
    assert compose(*FILES[kind])["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("kind", FILES)
def test_postgres_has_room_for_two_of_every_process_and_for_whoever_looks_after_them(kind: str) -> None:
    postgres = compose(*FILES[kind])["services"]["postgres"]
    (most,) = [int(word.partition("=")[2]) for word in postgres["command"] if word.startswith("max_connections=")]
    pool = ServiceSettings.model_fields["database_pool_size"].default
    assert most >= 2 * len(SERVICES) * len(PARTS) * (pool + BESIDE_THE_POOL) + OTHERS
    # Each connection is a process of the server.
    assert postgres["pids_limit"] >= most + OWN_PROCESSES


@pytest.mark.parametrize("kind", FILES)
def test_the_log_of_postgres_quotes_no_row(kind: str) -> None:
    """The detail of an error would, and rows hold what is personal."""
    command = compose(*FILES[kind])["services"]["postgres"]["command"]
    set_ = [after for before, after in itertools.pairwise(command) if before == "-c"]
    assert f"log_error_verbosity={SETTINGS['log_error_verbosity']}" in set_


@pytest.mark.parametrize("kind", FILES)
def test_no_container_is_given_what_only_makes_certificates(kind: str) -> None:
    assert set(compose(*FILES[kind])["secrets"]) & set(OWNERS_ALONE) == set()


@pytest.mark.parametrize("kind", FILES)
def test_every_name_that_is_used_is_declared(kind: str) -> None:
    document = compose(*FILES[kind])
    for name, service in document["services"].items():
        for other in service.get("depends_on", {}):
            assert other in document["services"], name
        for secret in service.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in document["secrets"], name
        for mount in service.get("volumes", []):
            assert mount.startswith((".", "/")) or mount.partition(":")[0] in document["volumes"], name
        assert set(service["networks"]) <= set(document["networks"]), name


@pytest.mark.parametrize("name", ["compose.yaml", "compose.production.yaml"])
def test_a_file_has_nothing_that_only_the_old_or_only_the_new_compose_knows(name: str) -> None:
    """docker-compose 1.29 refuses a name at the top; a version is obsolete for the new one."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert not re.search(r"^(name|version):", text, re.MULTILINE)
    assert "deploy:" not in text, "limits of a swarm are not those of compose"


def test_no_listener_of_production_is_open() -> None:
    services = compose(*FILES["production"])["services"]
    for name in BROKERS:
        told = services[name]["environment"]
        assert told["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"] == "CLIENTS:SASL_SSL,CONTROLLER:SSL,BROKERS:SSL"
        assert told["KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND"] == "false"
        assert told["KAFKA_AUTHORIZER_CLASS_NAME"].endswith(".StandardAuthorizer")
        for listener in ("BROKERS", "CONTROLLER"):
            assert told[f"KAFKA_LISTENER_NAME_{listener}_SSL_CLIENT_AUTH"] == "required"
        # The image makes demands of its own on a listener whose name holds SSL.
        assert "SSL://" not in told["KAFKA_ADVERTISED_LISTENERS"]


def test_any_one_broker_of_production_may_be_lost() -> None:
    services = compose(*FILES["production"])["services"]
    assert len({services[name]["environment"]["KAFKA_NODE_ID"] for name in BROKERS}) == 3
    for name in BROKERS:
        told = services[name]["environment"]
        assert (told["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"], told["KAFKA_MIN_INSYNC_REPLICAS"]) == ("3", "2")
    prepared: dict[str, str] = {}
    for file in services["topics"]["env_file"]:
        prepared |= given(DEPLOY / file)
    assert prepared["DESK_KAFKA_REPLICATION"] == "3"


def test_the_brokers_of_production_differ_only_in_their_number_and_their_address() -> None:
    services = copy.deepcopy(compose(*FILES["production"])["services"])
    told = []
    for name in BROKERS:
        environment = services[name]["environment"]
        own = (environment.pop("KAFKA_NODE_ID"), environment.pop("KAFKA_ADVERTISED_LISTENERS"))
        assert own[1] == f"CLIENTS://{name}:9092,BROKERS://{name}:9094"
        # Each has a disk of its own.
        assert services[name].pop("volumes") == [f"{name}-data:/var/lib/kafka/data"]
        told.append(services[name])
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.production.yaml"])
def test_an_anchor_is_used(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert set(re.findall(r"&([a-z][\w-]*)$", text, re.MULTILINE)) <= set(re.findall(r"\*([a-z][\w-]*)", text))
