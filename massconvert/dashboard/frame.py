"""What every page has in common: its frame, its tag for "nothing new", and how an error looks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from massconvert.cli.console import span
from massconvert.dashboard.door import HOME, PERSON, READ_ONLY, Access, App, Scope
from massconvert.dashboard.reads import Reads
from massconvert.dashboard.words import DONE, left, moment, timed
from massconvert.errors import StoreError
from massconvert.words.plurals import number_of

#: Where the moment of the page stands: it is no news.
_AS_OF = "@as-of@"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file that pages load."""

    body: bytes
    kind: str
    tag: str

    @classmethod
    def load(cls, name: str) -> Asset:
        """One of the package's."""
        body = (files("massconvert.dashboard") / "static" / name).read_bytes()
        return cls(body, _TYPES[name.rpartition(".")[2]], hashlib.sha256(body).hexdigest()[:12])


class Frame:
    """Makes pages of templates."""

    def __init__(self, access: Access, reads: Reads, accounts: Callable[[], Sequence[str]]) -> None:
        """``accounts`` are those that a reader may choose from, the first of them at the first page."""
        self.reads, self._account, self._accounts = reads, reads.desk.settings.account, accounts
        self.assets = {name: Asset.load(name) for name in ("page.css", "page.js", "icon.svg")}
        self._templates = Environment(
            loader=PackageLoader("massconvert.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(moment=moment, timed=timed, left=left, span=span)
        self._templates.globals.update(
            number_of=number_of,
            tags={name: asset.tag for name, asset in self.assets.items()},
            can_log_out=bool(access.token) and not access.trust_header and not access.who,
        )

    def show(
        self, request: Request, template: str, *, status_code: int = 200, every: int = 0, **values: Any
    ) -> Response:
        """A page, or "nothing new" where the browser has it; ``every``: seconds until it asks again."""
        scope = request.scope
        text = self._render(scope, template, every=every, done=DONE.get(request.query_params.get("done", "")), **values)
        tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if status_code == 200 and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        try:
            as_of = str(moment(self.reads.now()))
        except StoreError:
            as_of = ""
        return Response(text.replace(_AS_OF, as_of), status_code, headers, "text/html")

    def error(self, scope: Scope, status: int, said: str, hint: str = "") -> Response:
        """A page that says what is wrong and what to do."""
        text = self._render(scope, "error.html", every=0, done=None, said=said, hint=hint, status=status)
        headers = {"cache-control": "no-store"}
        return Response(text.replace(_AS_OF, ""), status, headers, "text/html")

    def refuse(self, scope: Scope, status: int, said: str, hint: str) -> App:
        """The same as an answer of the door."""
        return self.error(scope, status, said, hint)

    def _render(self, scope: Scope, template: str, **values: Any) -> str:
        base = scope.get("root_path", "")
        person, read_only = scope.get(PERSON), scope.get(READ_ONLY, False)
        return self._templates.get_template(template).render(
            base=base,
            person=person,
            read_only=read_only,
            as_of=_AS_OF,
            account=self._account,
            accounts=self._accounts() if person else (),
            home=scope.get(HOME, base),
            **values,
        )
