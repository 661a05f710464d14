"""docker-compose.yml as docker-compose reads it, without an engine to run it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy import create_engine, make_url

from onegauge.records.database import Database
from onegauge.records.history import History
from onegauge.service.http.keys import KeyFile
from onegauge.service.settings import Settings
from onegauge.service.sinks.table import read_sinks
from rig.tritonserver import install

ROOT = Path(__file__).parents[1]
SOURCES = ("docker-compose.yml", ".env.example", "docker/prepare.sh")
PUBLISHED = {"gateway-cpu", "gateway-gpu", "grafana"}
PROFILES = {
    "cpu": {"gateway-cpu", "postgres", "prometheus", "alertmanager", "grafana"},
    "gpu": {"gateway-gpu", "postgres", "triton", "prometheus", "alertmanager", "grafana"},
    "training": {"training"},
}


def compose(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    if (program := shutil.which("docker-compose")) is None:
        pytest.skip("docker-compose is not installed: apt-get install docker-compose")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ONEGAUGE_")}
    return subprocess.run(
        [program, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh one, as far as compose looks."""
    (tmp_path / "docker").mkdir()
    for source in SOURCES:
        shutil.copy(ROOT / source, tmp_path / source)
    return tmp_path


def prepare(checkout: Path) -> dict[str, str]:
    """What docker/prepare.sh prints."""
    script = checkout / "docker" / "prepare.sh"
    done = subprocess.run([script], capture_output=True, text=True, check=True)
    return dict(re.split(r" {2,}", line) for line in done.stdout.splitlines())


def services(checkout: Path, profile: str) -> dict[str, Any]:
    done = compose(checkout, "--profile", profile, "config")
    assert done.returncode == 0, done.stderr
    named = yaml.safe_load(done.stdout)["services"]  # of all profiles, from older releases
    return {name: s for name, s in named.items() if profile in s.get("profiles", [profile])}


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_is_valid_and_starts_what_it_should(checkout, profile):
    prepare(checkout)
    assert services(checkout, profile).keys() == PROFILES[profile]


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_services_are_pinned_watched_limited_and_kept_in(checkout, profile):
    prepare(checkout)
    for name, service in services(checkout, profile).items():
        assert re.search(r":v?\d+[\d.]*", service["image"]), name
        assert bool(service.get("ports")) == (name in PUBLISHED), name
        assert all("127.0.0.1" in str(port) for port in service.get("ports", ())), name
        assert "gateway" in name or service["healthcheck"], name  # the gateway's is in its image
        assert service["restart"] == "unless-stopped", name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["deploy"]["resources"], name


def test_settings_of_the_gateway_are_known_to_it(checkout):
    prepare(checkout)
    for profile in ("cpu", "gpu"):
        gateway = services(checkout, profile)[f"gateway-{profile}"]
        names = {name.removeprefix("ONEGAUGE_").lower() for name in gateway["environment"]}
        assert names <= Settings.model_fields.keys()
        assert gateway["read_only"]
        assert gateway["cap_drop"] == ["ALL"]


def test_records_go_to_the_database_that_is_started_beside_the_gateway(checkout):
    prepare(checkout)
    started = services(checkout, "cpu")
    environment = started["gateway-cpu"]["environment"]
    assert "records" in str(started["gateway-cpu"]["secrets"])
    assert environment["ONEGAUGE_RECORDS"] == "/run/secrets/records"
    written = {Path(environment[f"ONEGAUGE_{name}"]) for name in ("RECORDS_SPOOL", "PICTURES")}
    assert {str(place.parent) for place in written} == {"/records"}
    assert "/records" in str(started["gateway-cpu"]["volumes"])
    settings = Settings(
        records=str(checkout / "secrets" / "records"),
        records_spool=environment["ONEGAUGE_RECORDS_SPOOL"],
        pictures=environment["ONEGAUGE_PICTURES"],
        keep=environment["ONEGAUGE_KEEP"],
    )
    url, of = urlsplit(settings.records), started["postgres"]["environment"]
    assert (url.hostname, url.username, url.path) == ("postgres", of["POSTGRES_USER"], "/onegauge")
    assert url.password == (checkout / "secrets" / "postgres_password").read_text()
    assert of["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres_password"


def test_a_gateway_reaches_its_database_by_the_url_of_its_secret(checkout, postgresql):
    prepare(checkout)
    url = make_url((checkout / "secrets" / "records").read_text())
    there = make_url(postgresql.new_database())
    engine = create_engine(there, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # as the image makes them at its first start
        connection.exec_driver_sql(
            f"CREATE ROLE onegauge SUPERUSER LOGIN PASSWORD '{url.password}'"
        )
        connection.exec_driver_sql("CREATE DATABASE onegauge OWNER onegauge")
    engine.dispose()
    here = url.set(host=there.host, port=there.port).render_as_string(hide_password=False)
    database = Database.open(here)
    assert History(database).find().found == []
    database.close()


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_sinks_have_a_file_and_a_spool_and_a_name_that_outlive_a_container(checkout, profile):
    prepare(checkout)
    file = checkout / ".env"
    file.write_text(f"{file.read_text()}ONEGAUGE_SOURCE=hall-2\n")
    gateway = services(checkout, profile)[f"gateway-{profile}"]
    environment = gateway["environment"]
    assert environment["ONEGAUGE_SOURCE"] == "hall-2"
    assert environment["ONEGAUGE_SINKS"] == "/run/secrets/sinks"
    assert "sinks" in str(gateway["secrets"])
    assert read_sinks(checkout / "secrets" / "sinks") == {}
    spools = [Path(environment[f"ONEGAUGE_{of}_SPOOL"]) for of in ("SINKS", "RECORDS")]
    assert {place.parent for place in spools} == {Path("/records")}
    assert len(set(spools)) == 2
    assert "/records" in str(gateway["volumes"])


def test_triton_computes_in_full_precision_what_is_calibrated_so(checkout):
    prepare(checkout)
    assert services(checkout, "gpu")["triton"]["environment"]["NVIDIA_TF32_OVERRIDE"] == "0"


@pytest.mark.triton
def test_options_of_triton_are_known_to_it(checkout):
    prepare(checkout)
    command = " ".join(services(checkout, "gpu")["triton"]["command"])
    home = install()
    server = home / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    libraries = {"LD_LIBRARY_PATH": str(home / "nvidia_pytriton.libs")}
    done = subprocess.run(
        [server, "--help"], env=os.environ | libraries, capture_output=True, text=True, check=False
    )
    options = re.findall(r"(--[a-z-]+)=?", command)
    assert len(options) > 5
    assert [option for option in options if option not in done.stdout + done.stderr] == []


def test_what_must_be_set_is_named(checkout):
    done = compose(checkout, "--profile", "cpu", "config")
    assert done.returncode != 0
    assert "docker/prepare.sh" in done.stderr


def test_prepared_secrets_are_good_and_made_once(checkout):
    printed = prepare(checkout)
    secrets = checkout / "secrets"
    key = KeyFile(secrets / "api_keys").find(printed["API key"])
    assert key
    assert key.scopes == {"inspect", "read", "admin", "review", "teach"}
    assert (secrets / "grafana_password").read_text() == printed["Grafana, admin"]
    assert printed["API key"] not in (secrets / "api_keys").read_text()
    assert secrets.stat().st_mode & 0o077 == 0
    assert prepare(checkout) == {}
    assert KeyFile(secrets / "api_keys").find(printed["API key"])
