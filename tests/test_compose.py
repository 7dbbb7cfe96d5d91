"""docker-compose.yaml, checked without an engine: its schema, and that all it names exists."""

import base64
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.local.commands import filled
from tests import airflow_home

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docker-compose.yaml"
TEXT = FILE.read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[-?]|\})")
AIRFLOW = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = set(re.findall(r"^# generated\n(\w+)=$", EXAMPLE, re.MULTILINE))


def test_the_services_have_airflows_official_names():
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "postgres",
        "warehouse",
        "airflow-init",
        "airflow-apiserver",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    }
    by_profile = {name for name, s in SERVICES.items() if s.get("profiles") == ["celery"]}
    assert by_profile == {"redis", "airflow-worker", "flower"}


@pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None,
    reason="check-jsonschema, which carries the compose schema, is not installed",
)
def test_the_file_follows_the_compose_schema():
    checker = [sys.executable, "-m", "check_jsonschema"]
    done = subprocess.run(
        [*checker, "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_variable_is_in_the_example_and_required_or_has_a_default():
    listed = set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))
    used = dict(VARIABLE.findall(TEXT))
    assert set(used) | {"COMPOSE_PROFILES"} == listed
    assert [name for name, form in used.items() if form == "}"] == []


def test_every_secret_is_required_and_none_has_a_value_in_the_repository():
    required = {name for name, form in VARIABLE.findall(TEXT) if form == ":?"}
    assert required == SECRETS
    assert set(re.findall(r":\?([^}]*)\}", TEXT)) == {"run make init"}
    for name in SECRETS:
        assert f"{name}:-" not in TEXT


def test_init_gives_every_secret_a_value_that_fits_where_it_goes():
    first, second = (
        dict(re.findall(r"^(\w+)=(.*)$", filled(EXAMPLE), re.MULTILINE)) for _ in range(2)
    )
    for name in SECRETS:
        assert re.fullmatch(r"[\w=-]{32,}", first[name]), f"{name} becomes part of a URL"
        assert first[name] != second[name]
    assert len(base64.urlsafe_b64decode(first["AIRFLOW_FERNET_KEY"])) == 32
    assert {name for name in first if first[name] != second[name]} == SECRETS


def test_every_password_and_key_comes_from_a_variable():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|_KEY$|_AUTH$", name):
                assert ":?run make init}" in value, f"{name} has a value of its own"
    assert re.findall(r"://\w*:(?!\$\{)[^@\s]*@", TEXT) == []


def test_every_published_port_is_on_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_mounted_path_and_volume_exists():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_dir(), f"{name} mounts {source}"
                assert volume.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"], f"{name} mounts {source}"
    for name, service in AIRFLOW.items():
        inside = {volume.split(":")[1] for volume in service["volumes"]}
        assert {f"/opt/airflow/{part}" for part in ("dags", "plugins", "include")} < inside, name
        assert service["environment"]["PYTHONPATH"] == "/opt/airflow"


def test_every_service_waited_for_exists_and_can_become_healthy():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"
            else:
                assert (other, how["condition"]) == (
                    "airflow-init",
                    "service_completed_successfully",
                )


def test_every_service_that_stays_has_a_probe():
    assert [name for name, s in SERVICES.items() if "healthcheck" not in s] == ["airflow-init"]


def test_the_image_is_the_airflow_of_the_lock():
    lock = (ROOT / "requirements.txt").read_text()
    version = re.search(r"^apache-airflow==(\S+)", lock, re.MULTILINE)[1]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"apache/airflow:{version}-python3." in dockerfile
    assert {service["image"] for service in AIRFLOW.values()} == {f"portrait-airflow:{version}"}
    for copied in re.findall(r"^COPY (\S+)", dockerfile, re.MULTILINE):
        assert (ROOT / copied).is_file()
        assert f"!{copied}" in (ROOT / ".dockerignore").read_text().split()


@pytest.fixture(scope="module")
def parser():
    """Airflow's command line, with the commands of the providers."""
    airflow_home.imported()
    from airflow.cli.cli_parser import get_parser

    return get_parser()


def shell_commands(service: dict) -> list[str]:
    """The ``airflow ...`` command lines of a service and of its probe."""
    command = service["command"]
    lines = command[-1].splitlines() if isinstance(command, list) else [f"airflow {command}"]
    lines += [str(service.get("healthcheck", {}).get("test", [""])[-1])]
    return [match[1] for line in lines if (match := re.search(r"(?:^|\s)airflow (.*)", line))]


@pytest.mark.parametrize("name", AIRFLOW)
def test_every_airflow_command_exists(parser, name):
    commands = shell_commands(AIRFLOW[name])
    assert commands
    for command in commands:
        assert parser.parse_args(command.replace('"', "").split()).func


def test_every_airflow_option_exists():
    airflow_home.imported()
    from airflow.configuration import conf

    known = conf.configuration_description
    for service in AIRFLOW.values():
        for variable in service["environment"]:
            if match := re.fullmatch(r"AIRFLOW__([A-Z_]+?)__(\w+)", variable):
                section, option = match[1].lower(), match[2].lower()
                assert option in known[section]["options"], f"{variable} is no option of Airflow"


def test_the_celery_application_that_the_worker_is_asked_by_exists():
    airflow_home.imported()
    module = re.search(r"celery --app (\S+)\.app ", TEXT)[1]
    assert importlib.import_module(module).app.main == module
