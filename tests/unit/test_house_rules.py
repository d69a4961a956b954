"""The rules of the house that a machine can check, beyond what ruff, mypy and the import contract hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from massconvert import contract
from massconvert.model import Code
from massconvert.policy import MEANINGS, STATUS_MEANINGS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("massconvert", "tasks", "workers", "benchmarks")
MOST_LINES = 400
MOST_FUNCTION_LINES = 40
MOST_TASK_LINES = 15

TASKS = {value for name, value in vars(contract).items() if name.startswith("TASK_")}
QUEUES = {contract.QUEUE, contract.QUEUE_CONVERT, contract.QUEUE_STATUS}


def modules() -> list[Path]:
    """Every module that is not a test."""
    return [ROOT / "celeryconfig.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def place(path: Path) -> str:
    """A path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function's body; its signature and docstring aside."""
    body = node.body if ast.get_docstring(node) is None else node.body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


# --- sizes and names


def test_a_tasks_body_has_at_most_fifteen_lines() -> None:
    """It translates between Celery and a step, and decides nothing."""
    bodies = {
        f"{path.stem}.{node.name}": length(node) for path in (ROOT / "tasks").glob("*.py") for node in functions(path)
    }
    assert {
        "chunk.chunk",
        "convert.convert",
        "status.status",
        "sweep.sweep",
        "enqueue.enqueue",
        "call_back.call_back",
    } <= set(bodies)
    assert {name: lines for name, lines in bodies.items() if lines > MOST_TASK_LINES} == {}


def test_no_module_grows_beyond_four_hundred_lines() -> None:
    """The one that everything flows through is ours to prevent. The simulation is read as often as the product."""
    all_of_them = [*modules(), *(ROOT / "tests" / "simulation").glob("*.py")]
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in all_of_them}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_function_grows_beyond_a_screen() -> None:
    lengths = {f"{place(path)}:{node.name}": length(node) for path in modules() for node in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_FUNCTION_LINES} == {}


def test_no_module_is_named_for_what_is_left_over() -> None:
    """The best helpers carry the name of what they know."""
    forbidden = {"utils", "util", "common", "helpers", "helper", "misc"}
    everything = [*modules(), *(ROOT / "tests").rglob("*.py")]
    assert [place(path) for path in everything if forbidden & {path.stem, *path.relative_to(ROOT).parts[:-1]}] == []


# --- waiting, numbers, ignores


def test_nothing_sleeps_but_the_embedded_runner_and_the_command_line() -> None:
    """A worker's thread that sleeps is one that does not convert; when to come back is said to Celery."""
    sleeping = [
        f"{place(path)}:{node.lineno}"
        for path in modules()
        if not place(path).startswith(("massconvert/embedded/", "massconvert/cli/", "benchmarks/"))
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and any(name.name == "sleep" for name in node.names))
    ]
    assert sleeping == []


def test_no_number_stands_in_a_decorator() -> None:
    """Retries and time-outs are decided in one layer, not task by task."""
    for path in (ROOT / "tasks").glob("*.py"):
        for node in functions(path):
            for decorator in node.decorator_list:
                numbers = [part for part in ast.walk(decorator) if isinstance(part, ast.Constant)]
                assert numbers == [], f"{path.name}: {ast.unparse(decorator)}"


def test_every_ignore_has_its_reason_beside_it() -> None:
    ignore = re.compile(r"#\s*(noqa|type: ignore)")
    reasoned = re.compile(r"# (noqa: [A-Z0-9, ]+[0-9]|type: ignore\[[a-z, -]+\]) +(- |# )\S")
    bare = [
        f"{place(path)}:{number}"
        for path in [*modules(), *(ROOT / "tests").rglob("*.py")]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ignore.search(line) and not reasoned.search(line)
    ]
    assert bare == []


# --- what stands once


def test_the_names_of_tasks_and_queues_stand_in_the_contract_only() -> None:
    """Docstrings and logger names aside; the queue ``massconvert`` is also the package, so it counts as a queue's name
    where one is given."""
    for path in modules():
        if place(path) == "massconvert/contract.py":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in TASKS, f"{place(path)}:{node.lineno}: {node.value}"
            if isinstance(node, ast.keyword) and node.arg == "queue":
                assert not isinstance(node.value, ast.Constant), f"{place(path)}:{node.value.lineno}"


def test_every_task_and_queue_of_the_contract_is_a_name_of_its_own() -> None:
    names = [name for name in vars(contract) if name.startswith("TASK_")]
    assert len(TASKS) == len(names)
    assert len(QUEUES) == 3
    assert all(name.startswith("massconvert") for name in TASKS | QUEUES)


@pytest.mark.parametrize(
    "code",
    [
        *MEANINGS,
        *(value for name, value in vars(Code).items() if not name.startswith("_")),
        *("INVALID_DATA", "REQUIRED_PARAM_MISSING", "SUCCESS", "SCHEDULED"),
    ],
)
def test_the_page_of_errors_explains_every_code(code: str) -> None:
    table = [line for line in (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert [line for line in table if f"`{code}`" in line] != []


@pytest.mark.parametrize("status", [status for status in STATUS_MEANINGS if status not in (408, 425)])
def test_the_page_of_errors_explains_every_status_that_means_something(status: int) -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| [0-9, ]*{status}\b", page, re.MULTILINE)


def scripts() -> list[str]:
    """The scripts of the ledger, by name."""
    names = [entry.name.removesuffix(".lua") for entry in (files("massconvert.store") / "lua").iterdir()]
    return sorted(name for name in names if not name.startswith("_"))


#: Scripts behind the governor's public face, which test_governor.py and test_governor_answers.py test.
GOVERNORS = {"take_permit", "return_permit"}


@pytest.mark.parametrize("script", [name for name in scripts() if name not in GOVERNORS])
def test_every_script_has_tests_on_a_real_redis(script: str) -> None:
    """A test names the script that it is about: ``test_claim_chunk_…``, or a heading ``# --- claim_chunk``."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "integration").glob("test_*.py")]
    named = re.compile(rf"^def test_{script}_|^# --- .*\b{script}\b", re.MULTILINE)
    assert [text for text in texts if named.search(text)] != []


def test_a_name_is_that_of_one_class() -> None:
    """Of the product's: the simulator is a stranger to it, and private classes are read with their module."""
    homes: dict[str, list[str]] = {}
    for path in (*ROOT.glob("massconvert/**/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.glob("workers/*.py")):
        if path.is_relative_to(ROOT / "massconvert" / "simulator"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


# --- plain English

#: Words that a reader has to read twice, each with what says the same.
PLAIN = {
    r"mend(s|ed|ing)?": "fix, correct",
    r"anew": "again",
    r"besides": "also, in addition to",
    r"whoever|whomever": "name the reader, worker, process or batch",
    r"in vain": "failed, without success",
    r"shall": "must, or the present tense",
    r"so many": "this many, or the name of the number",
    r"(is|are|was) away": "is unreachable, does not answer, is down",
    r"what is (no|none)": "name it: a wrong id, an unknown field",
}
#: What people read: the program's texts, its comments, and its pages. The log of changes stays as it was written.
READ = ("massconvert", "tasks", "workers", "celeryconfig.py", "docs", "examples", "monitoring", "README.md")
READ_ENDINGS = (".py", ".lua", ".md", ".html", ".json", ".yml", ".toml", ".txt")


def test_what_people_read_is_plain_english() -> None:
    """Subject, verb, object, in common words. The JSON key ``mend`` of the doctor is a contract, and stays."""
    rooms = [ROOT / name for name in READ]
    pages = [path for room in rooms for path in (sorted(room.rglob("*")) if room.is_dir() else [room])]
    odd = re.compile(rf"(?<![\w\"`])({'|'.join(PLAIN)})(?![\w\"`])", re.IGNORECASE)
    found = [
        f"{place(path)}:{number}: {match[0]}"
        for path in pages
        if path.suffix in READ_ENDINGS and "__pycache__" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in odd.finditer(line)
    ]
    assert found == []
