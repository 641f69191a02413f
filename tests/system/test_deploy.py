"""deploy/ as tools see it; no container engine runs here. The configuration that its files give is one."""

import subprocess

import pytest
from harness import places
from test_configuration import calf_config

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


def config_map(manifest: str) -> str:
    text = subprocess.run(
        [places.EMULATORS_PYPI / "bin" / "python", "-c", "import sys, yaml; print([d for d in yaml.safe_load_all(open(sys.argv[1])) "
         "if d['kind'] == 'ConfigMap'][0]['data']['config.yaml'])", DEPLOY / "kubernetes" / manifest],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return text.stdout


@pytest.mark.parametrize(("manifest", "engine"), [("calf.yaml", "postgres"), ("calf-s3.yaml", "sqlite")])
def test_calf_takes_the_config_map(directory, manifest, engine):
    (directory / "config.yaml").write_text(config_map(manifest))
    done = calf_config("--config", directory / "config.yaml", PG_PASSWORD="topsecret")
    assert done.returncode == 0, done.stderr
    assert 'host: "0.0.0.0"  # ' in done.stdout and "topsecret" not in done.stdout
    assert f"engine: {engine}  # " in done.stdout
    assert 'password: "********"  # PG_PASSWORD' in done.stdout
