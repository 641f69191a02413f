"""The configuration: a file, variables, flags; for both engines. And the programs of clients/first_steps."""

import json
import os
import subprocess
import sys

import psycopg
import pytest

from harness import places
from harness.server import Options, Server
from test_clients import command_of, where

pytestmark = pytest.mark.calf_only
FIRST_STEPS = places.SYSTEM / "clients" / "first_steps"


def clean_environment(**variables) -> dict:
    names = ("PG", "POSTGRES", "DB_", "LOG_", "STORAGE", "CONFIG_PATH", "CONNECTION_POOL_SIZE", "S3_", "AWS_", "AZURE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(names)} | variables


def calf_config(*arguments, **variables) -> subprocess.CompletedProcess:
    return subprocess.run(
        [places.CALF, "config", *arguments], env=clean_environment(**variables), capture_output=True, text=True, timeout=30
    )


def test_a_wrong_option_is_named_with_its_line(directory):
    path = directory / "config.yaml"
    path.write_text("server:\n  prot: 5432\n")
    done = calf_config("--config", path)
    assert done.returncode == 1
    assert f"{path}:2: there is no option server.prot" in done.stderr and "did you mean server.port?" in done.stderr
    path.write_text("storage:\n  backend: s3\n  s3:\n    bucket: b\n  durability: sometimes\n")
    done = calf_config("--config", path)
    assert done.returncode == 1 and f'{path}:5: storage.durability cannot be "sometimes"' in done.stderr


def test_secrets_are_never_printed(directory):
    path = directory / "config.yaml"
    path.write_text("storage:\n  s3:\n    access_key_id: known\n    secret_access_key: hidden1\n")
    done = calf_config("--config", path, "--set", "server.authentication.password=hidden2", AZURE_STORAGE_KEY="hidden3",
                       AZURE_STORAGE_CONNECTION_STRING="hidden4", AZURE_STORAGE_SAS_TOKEN="hidden5")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hidden" not in done.stdout + done.stderr and done.stdout.count("********") == 5
    assert f"{path}:3" in done.stdout and "# --set" in done.stdout and "# AZURE_STORAGE_KEY" in done.stdout


def test_flags_win_over_variables_over_the_file(directory):
    path = directory / "config.yaml"
    path.write_text("server:\n  authentication:\n    user: file\ndatabase:\n  name: file\n")
    environment = {"CONFIG_PATH": str(path), "DB_NAME": "variable"}
    with Server.start(Options(environment=environment, arguments=("-U", "flag"))) as server, server.connect("variable", "flag") as connection:
        assert connection.execute("select current_user || ' ' || current_database()").fetchone() == ("flag variable",)


@pytest.mark.parametrize("engine", ["postgres", "sqlite"])
def test_the_server_is_as_the_configuration_says(own_server, directory, engine):
    path = directory / "config.yaml"
    path.write_text(
        f"server:\n  authentication:\n    user: anna\n    password: secret\ndatabase:\n  engine: {engine}\n  name: shop\n"
        "  connection_pool_size: 7\nlogging:\n  format: json\n"
    )
    server = own_server(environment={"CONFIG_PATH": str(path)})
    with server.connect(user="anna", dbname="shop", password="secret") as connection:
        assert connection.execute("select current_user || current_database()").fetchone() == ("annashop",)
        assert connection.execute("show max_connections").fetchone() == ("7",)
    with pytest.raises(psycopg.OperationalError):
        server.connect(user="anna", dbname="shop", password="wrong")
    if engine == "postgres":
        lines = [line for line in server.output().splitlines() if "ready to accept connections" in line]
        assert lines and json.loads(lines[0])["level"] == "info"


def test_storage_is_refused_by_the_other_engine(directory):
    path = directory / "config.yaml"
    path.write_text("database:\n  engine: postgres\nstorage:\n  backend: local\n")
    done = subprocess.run([places.CALF, "serve", "--config", path, "-p", "0"], env=clean_environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and f"{path}:4: storage.backend is of the sqlite engine" in done.stderr


def program(name: str, server: Server, directory) -> list:
    """The command that runs it, with what the language wants around it."""
    text = (FIRST_STEPS / name).read_text().replace("5432", str(server.port))
    path = directory / name
    if name.endswith(".js"):
        text = f"(async () => {{\n{text}\n}})().catch((error) => {{ console.error(error); process.exit(1); }});\n"
    if name.endswith(".java"):
        imports, body = text.split("\n", 1)
        text = f"import java.util.*;\n{imports}\npublic class Items {{ public static void main(String[] a) throws Exception {{\n{body}\n}} }}\n"
    path.write_text(text)
    if name.endswith(".py"):
        return [sys.executable, path]
    if name.endswith(".js"):
        return ["node", path]
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{where('java')}/lib/*", path]


@pytest.mark.timeout(120)
def test_first_steps_run_unchanged_and_their_rows_survive_the_machine(directory):
    config = (FIRST_STEPS / "config.yaml").read_text().replace("/tmp/myapp.sqlite", "FILE").replace("./data", f"{directory}/data")
    modules = command_of("node-postgres")[1]["NODE_MODULES_AT"]
    (directory / "node_modules").symlink_to(f"{modules}/node_modules")

    def start(file):
        (directory / "config.yaml").write_text(config.replace("FILE", str(directory / file)))
        # LOCATION would be a flag for the file.
        command = [places.CALF, "serve", "-p", "0", "--json", "-q", "--set", "storage.lease_ttl=500ms"]
        server = Server(Options())
        environment = clean_environment(CONFIG_PATH=str(directory / "config.yaml"))
        server.process = subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        ready = json.loads(server._ready_line())
        assert ready["success"], ready
        server.port = ready["port"]
        return server

    with start("one.sqlite") as server:
        for name, expected in (("users.py", "(1, 'Alice', 'alice@example.com')"), ("products.js", "{ id: 1, name: 'Widget', price: 9.99 }"), ("Items.java", "")):
            done = subprocess.run(program(name, server, directory), cwd=directory, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0 and expected in done.stdout, f"{name}: {done.stdout}{done.stderr}"
        assert server.stop() == 0
    with start("two.sqlite") as server, server.connect("myapp", password="mysecretpassword") as connection:
        rows = [connection.execute(f"select * from {table}").fetchall() for table in ("users", "products", "items")]
        assert rows == [[(1, "Alice", "alice@example.com")], [(1, "Widget", pytest.approx(9.99))], [(1, "Item 1")]]
