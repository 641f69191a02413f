"""deploy/ as tools see it; no container engine runs here. And the configuration that its files give."""

import json
import os
import subprocess

import pytest
from harness import places

pytestmark = pytest.mark.calf_only
DEPLOY = places.ROOT / "deploy"


def lint(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_pleases_hadolint():
    lint(places.EMULATORS_PYPI / "bin" / "hadolint", "--config", DEPLOY / "hadolint.yaml", DEPLOY / "Dockerfile")


def test_the_yaml_is_tidy():
    lint(*places.pypi_script("yamllint"), "--strict", "-c", DEPLOY / "yamllint.yaml", DEPLOY)


def test_the_manifests_keep_kubernetes_schemas():
    lint(*places.pypi_script("kubernetes-validate"), "--strict", *sorted((DEPLOY / "kubernetes").glob("*.yaml")))


def config_map() -> str:
    text = subprocess.run(
        [places.EMULATORS_PYPI / "bin" / "python", "-c", "import sys, yaml; print([d for d in yaml.safe_load_all(open(sys.argv[1])) "
         "if d['kind'] == 'ConfigMap'][0]['data']['config.yaml'])", DEPLOY / "kubernetes" / "calf.yaml"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return text.stdout


def calf_config(path, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "POSTGRES"))}
    return subprocess.run(
        [places.CALF, "config", "--config", path],
        env={**environment, **variables}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def test_calf_takes_the_config_map(directory):
    (directory / "config.yaml").write_text(config_map())
    done = calf_config(directory / "config.yaml", PG_PASSWORD="topsecret")
    assert done.returncode == 0, done.stderr
    assert 'host: "0.0.0.0"  # ' in done.stdout and "topsecret" not in done.stdout
    assert 'password: "********"  # PG_PASSWORD' in done.stdout


def test_a_wrong_option_is_named_with_its_line(directory):
    path = directory / "config.yaml"
    path.write_text("server:\n  prot: 5432\n")
    done = calf_config(path)
    assert done.returncode == 1
    assert f"{path}:2: there is no option server.prot" in done.stderr and "did you mean server.port?" in done.stderr


def test_the_server_listens_where_the_configuration_says(own_server, directory):
    path = directory / "config.yaml"
    path.write_text("server:\n  authentication:\n    user: anna\ndatabase:\n  name: shop\nlogging:\n  format: json\n")
    server = own_server(environment={"CONFIG_PATH": str(path)})
    with server.connect(user="anna", dbname="shop") as connection:
        assert connection.execute("select current_user || current_database()").fetchone() == ("annashop",)
    lines = [line for line in server.output().splitlines() if "ready to accept connections" in line]
    assert lines and json.loads(lines[0])["level"] == "info"
