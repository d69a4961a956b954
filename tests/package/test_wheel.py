"""The wheel, in an environment where it alone is new, far from the checkout: all of it runs.

Nothing comes from a network: the wheel is built with the hatchling of this environment, and what massconvert needs is
seen through a ``.pth`` file, which makes this environment's packages visible and not what its own ``.pth`` files add:
the editable checkout is not there.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest

from tests.acceptance.house import ROOT, House, until
from tests.servers import free_port

pytestmark = pytest.mark.acceptance
#: Modules that a user's project may have in the working directory. Whoever loads one ends.
THEIRS = ("celery", "celeryconfig", "kombu", "options", "redis", "tasks", "workers")
OURS = re.compile(r"massconvert/_celery/(celeryconfig\.py|(?:tasks|workers)/\w+\.py)")


def build(out: Path) -> None:
    """Build the sdist, and the wheel from it: what the sdist lacks, the wheel lacks too."""
    for module in ("build", "hatchling"):
        pytest.importorskip(module, reason="not installed; `make install` brings it")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def install(wheel: Path, where: Path) -> None:
    """Make an environment, and install the wheel in it."""
    venv.create(where, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(where / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], timeout=120, check=True)
    (site,) = where.glob("lib/python*/site-packages")
    (site / "the_rest.pth").write_text(sysconfig.get_path("purelib"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``dist`` with sdist and wheel, and the environment ``venv``: once for all processes of pytest."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wheel"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "done").exists():
            build(shared / "dist")
            (wheel,) = (shared / "dist").glob("*.whl")
            install(wheel, shared / "venv")
            (shared / "done").touch()
    return shared


@pytest.fixture
def away(built: Path, tmp_path: Path) -> Iterator[House]:
    """A house of the installed wheel. Its folder is empty, its workers start in the folder of a hostile project."""
    project, home = tmp_path / "project", tmp_path / "home"
    for folder in (project, home, tmp_path / "empty"):
        folder.mkdir()
    for name in THEIRS:
        (project / f"{name}.py").write_text("raise SystemExit(f'{__file__} of the working directory was loaded')")
    house = House(
        tmp_path / "empty", python=str(built / "venv" / "bin" / "python"), place=project,
        HOME=str(home), PATH=f"{built / 'venv' / 'bin'}:/usr/bin:/bin",
    )  # fmt: skip
    yield house
    house.close()


def start(house: House, *words: str, says: str) -> subprocess.Popen[bytes]:
    """Start ``massconvert …`` in the hostile project, and wait for the words that say it works."""
    process = house.run("massconvert", *words, name=words[0])

    def said() -> bool:
        assert process.poll() is None, house.log(words[0])
        return says in house.log(words[0])

    until(said, 60, f"{words[0]} to say {says!r}")
    return process


# --- what is in it


def test_the_wheel_has_massconvert_alone_at_its_top_and_the_workers_inside(built: Path) -> None:
    """And every file that the checkout has there, typed, with its scripts and schemas."""
    (wheel,) = (built / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"massconvert"}
    assert {match[1] for name in names if (match := OURS.fullmatch(name))} == {
        "celeryconfig.py",
        *(path.relative_to(ROOT).as_posix() for room in ("tasks", "workers") for path in (ROOT / room).glob("*.py")),
    }
    kinds = ("*.py", "*.lua", "*.json", "py.typed")
    assert {path.relative_to(ROOT).as_posix() for kind in kinds for path in (ROOT / "massconvert").rglob(kind)} <= names
    assert not [name for name in names if name.endswith((".pyc", ".pyo")) or "tests" in name]


def test_the_sdist_has_tests_docs_and_examples_and_nothing_that_was_made(built: Path) -> None:
    """It is enough to build the wheel from, and to run the tests."""
    (sdist,) = (built / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "Dockerfile", "tests/conftest.py", "docs/concepts.md"} <= names
    assert {"examples/flask_app.py", "benchmarks/stand.py", "workers/celery.py", ".env.example"} <= names
    assert not [name for name in names if re.search(r"__pycache__|\.venv|/\.env$|\.git/|_cache/|^\.ci", name)]


def test_the_metadata_says_what_an_index_shows(built: Path) -> None:
    """Each extra that the README names is there."""
    (wheel,) = (built / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = message_from_string(archive.read(name).decode())
    assert said["License-Expression"] == "MIT"
    assert said["Requires-Python"] == ">=3.10"
    assert {"embedded", "testing"} <= set(said.get_all("Provides-Extra", []))
    assert "Typing :: Typed" in said.get_all("Classifier", [])
    assert said["Keywords"]
    assert said["Description-Content-Type"] == "text/markdown"


# --- what it does


def test_the_demo_runs_in_an_empty_folder_with_an_empty_home(away: House) -> None:
    """The first minute: one command, nothing but the package."""
    del away.environment["REDIS_URL"]
    done = away.command("demo", "--leads", "120")
    assert done.returncode == 0, done.stderr
    assert "all 120 outcomes are what Zoho says of the leads; none was converted twice." in done.stderr
    assert [path.name for path in away.folder.iterdir()] == ["massconvert-demo-report.csv"]
    assert list(Path(away.environment["HOME"]).iterdir()) == []


def test_convert_runs_its_own_redis_and_workers(away: House) -> None:
    """Where nothing else runs."""
    del away.environment["REDIS_URL"]
    away.simulator("--leads", "60", "--job-seconds", "0.2")
    (away.folder / "leads.csv").write_text("\n".join(["id", *away.leads()]))
    done = away.command("convert", "leads.csv", "--no-deal")
    assert done.returncode == 0, done.stderr
    assert all(lead["converted"] for lead in away.truth().values())


def test_a_fleet_works_in_the_folder_of_any_project(away: House) -> None:
    """Worker and beat load nothing from it, whatever its modules are called, and Celery's commands reach them."""
    away.redis()
    away.simulator("--leads", "60", "--job-seconds", "0.2")
    (away.folder / "options.json").write_text("{}")
    worker = start(away, "worker", "-n", "one@%h", says=" ready.")
    beat = start(away, "beat", says="beat: Starting...")
    done = away.command("enqueue", *away.leads(), "--options", "options.json", "--key", "k", "--wait", "60")
    assert done.returncode == 0, done.stderr
    assert all(lead["converted"] for lead in away.truth().values())
    assert json.loads(away.command("status", "k", "--json").stdout)["converted"] == 60
    for role in ("worker", "beat"):
        until(lambda role=role: away.command("health", role).returncode == 0, 30, f"a healthy {role}")  # type: ignore[misc]  # mypy cannot infer a lambda's default
    assert "Traceback" not in away.command("doctor").stderr
    ping = subprocess.run(
        [away.python, "-m", "celery", "-A", "massconvert", "inspect", "ping", "--timeout", "10"],
        cwd=away.folder, env=away.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "pong" in ping.stdout, ping.stdout + ping.stderr
    for process in (worker, beat):
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert "Traceback" not in away.logs()
    assert "was loaded" not in away.logs()


@pytest.mark.parametrize("place", ["checkout", "project"])
def test_no_file_of_the_checkout_or_of_the_working_directory_is_loaded(away: House, tmp_path: Path, place: str) -> None:
    """Celery loads all tasks for its own report; the program is the one that `massconvert worker` becomes."""
    away.redis()
    code = """
import runpy, sys
from massconvert.celery import celery_command
program, *sys.argv[1:] = celery_command("report")[1:]
sys.argv[0] = program
try:
    runpy.run_path(program, run_name="__main__")
finally:
    import json
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    print("FILES " + json.dumps(files))
"""
    program = tmp_path / "report.py"  # a file: with -c Python itself would look in the working directory
    program.write_text(code)
    done = subprocess.run(
        [away.python, str(program)], cwd=ROOT if place == "checkout" else away.place, env=away.environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "FILES " in done.stdout, done.stdout + done.stderr
    files = json.loads(done.stdout.partition("FILES ")[2])
    inside = Path(away.python).parents[1]
    ours = {name: path for name, path in files.items() if re.match(r"(massconvert|tasks|workers|celeryconfig)\b", name)}
    assert {"massconvert", "tasks.convert", "workers.celery", "workers.lifecycle", "celeryconfig"} <= set(ours)
    assert {name: path for name, path in ours.items() if not Path(path).is_relative_to(inside)} == {}
    assert {path for path in files.values() if path and Path(path).is_relative_to(away.place)} == set()


def test_the_simulator_and_options_run(away: House) -> None:
    """As commands, from the folder of the project."""
    del away.environment["REDIS_URL"]
    port = free_port()
    start(away, "simulator", "--port", str(port), says=f":{port}")
    away.environment |= {
        line.strip().removeprefix("export ").split("=", 1)[0]: line.strip().split("=", 1)[1]
        for line in away.log("simulator").splitlines()
        if "ZOHO_" in line
    }
    (away.folder / "o.json").write_text(json.dumps({"Deals": {"Stage": "No such stage"}}))
    checked = away.command("options", "check", "o.json")
    assert checked.returncode == 2, checked.stderr
    assert "Traceback" not in checked.stderr


def test_wrong_settings_are_two_lines_and_status_3(away: House) -> None:
    """No traceback, and no word of Celery's."""
    for words, wrong in ((("worker",), {}), (("beat",), {"REDIS_URL": "http://127.0.0.1"})):
        done = subprocess.run(
            ["massconvert", *words], cwd=away.place, env={**away.environment, **wrong},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert len(done.stderr.splitlines()) == 2 - ("REDIS_URL" in wrong), done.stderr
