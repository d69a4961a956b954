"""The Celery app wherever this package is installed: ``celery -A massconvert …``. As a program it is that command.

``tasks``, ``workers`` and ``celeryconfig`` are names that other projects use too, so they are no top-level packages of
the wheel: there they are in the folder ``_celery`` of this package, in a checkout beside it. The folder comes to the
front of ``sys.path`` in a process of Celery alone (docs/decisions/0048-the-wheel-has-workers.md).
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_IN_WHEEL = _HERE / "_celery"
#: Where ``tasks``, ``workers`` and ``celeryconfig`` are.
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _HERE.parent


def celery_command(*arguments: str) -> tuple[str, ...]:
    """The command that runs Celery with ``arguments`` on this app, from any working directory."""
    # This file and not `-m celery`: Python would look for modules in the working directory first, and celery.py,
    # tasks.py or workers.py of somebody's project may be there.
    return (sys.executable, str(_HERE / "celery.py"), "-A", "massconvert", *arguments)


def __getattr__(name: str) -> Any:
    """The ``app``, loaded when Celery asks for it: who wants the command alone does not load Celery."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load_app()


def _load_app() -> Any:
    """Raises SystemExit, the reason on stderr, where the settings are wrong."""
    if str(FOLDER) in sys.path:
        sys.path.remove(str(FOLDER))
    sys.path.insert(0, str(FOLDER))
    app = import_module("workers.celery").app
    # Celery looks for modules in the working directory first. What is loaded is not looked for.
    import_module("tasks")
    return app


def _main() -> None:
    # Python puts the folder of a program in front: the modules of this package are no top-level modules.
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != _HERE]
    if str(_HERE.parent) not in sys.path:
        sys.path.append(str(_HERE.parent))

    from celery import maybe_patch_concurrency  # noqa: PLC0415 - `import celery` would have found this file

    try:
        maybe_patch_concurrency()  # for -P gevent, before anything else is loaded
    except ModuleNotFoundError as error:
        print(f"{error}, which this -P needs.\nInstall it, or leave out -P: 20 threads run then.", file=sys.stderr)
        sys.exit(2)
    from celery.bin.celery import celery  # noqa: PLC0415 - as above

    _load_app()
    sys.exit(celery(prog_name="massconvert", auto_envvar_prefix="CELERY"))


if __name__ == "__main__":
    _main()
