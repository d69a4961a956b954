"""All addresses of the page, and what becomes of errors; put together behind the door."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from massconvert.cli.desk import open_desk
from massconvert.dashboard.actions import Actions
from massconvert.dashboard.days import DayPages
from massconvert.dashboard.door import HOME, Access, App, Door, Scope
from massconvert.dashboard.frame import Frame
from massconvert.dashboard.lead_pages import LeadPages
from massconvert.dashboard.pages import Pages
from massconvert.dashboard.reads import Reads
from massconvert.errors import MassConvertError, StoreError, UnknownBatchError
from massconvert.producer.mass_convert import MassConvert
from massconvert.profiles import Accounts
from massconvert.settings import Settings
from massconvert.words.readable import readable_traceback

log = logging.getLogger("massconvert")

#: The longest form, in bytes: a column of some thousand ids.
_LONGEST_FORM = 256 << 10


def make_site(
    settings: Settings | None,
    *,
    account: str | None,
    read_only: bool,
    trust_header: str,
    who: Callable[[Mapping[str, str]], str | None] | None,
    hosts: tuple[str, ...],
) -> Door:
    """The page as an ASGI app; see `massconvert.dashboard.app`. Raises InputError, SettingsError."""
    accounts = Accounts(base=settings)
    token = accounts.settings(account).dashboard_token.get_secret_value()
    access = Access(token, trust_header, who, hosts, read_only)
    sites = Sites(accounts, access, account)
    return Door(sites.home, access, sites.frame.refuse)


class Sites:
    """The pages of each account: of one where it is named, else of the environment's own and of all in the file.

    Each has settings, a ledger and reads of its own, made at its first use. Raises InputError, SettingsError.
    """

    def __init__(self, accounts: Accounts, access: Access, account: str | None) -> None:
        self._accounts, self._access, self._only = accounts, access, account
        self._lock = threading.Lock()
        self._made: dict[str, Starlette] = {}
        self._first = accounts.settings(account).account
        beside = [] if account else [Mount("/accounts/{account}", app=self._elsewhere)]
        self.home, self.frame = self._make(self._first, self._all, *beside)

    def names(self) -> list[str]:
        """The accounts to choose from; nothing where there is one alone."""
        named = [] if self._only else list(self._accounts.config.last_right().accounts)
        return [self._first, *(name for name in named if name != self._first)] if named else []

    def _all(self) -> list[Reads]:
        """Those of every account whose settings are right; the doctor tells of the others."""
        found: list[Reads] = [self.home.state.reads]
        for name in self.names()[1:]:
            with suppress(MassConvertError):
                found.append(self._pages(name).state.reads)
        return found

    async def _elsewhere(self, scope: Scope, receive: Any, send: Any) -> None:
        """The pages of the account that the address names."""
        try:
            pages: App = await run_in_threadpool(self._pages, scope["path_params"]["account"])
        except MassConvertError as error:
            pages = self.frame.error({**scope, "root_path": scope[HOME]}, 404, error.message, error.hint)
        await pages(scope, receive, send)

    def _pages(self, account: str) -> Starlette:
        with self._lock:
            if account not in self._made:
                self._made[account], _ = self._make(account)
            return self._made[account]

    def _make(
        self, account: str, all_of: Callable[[], list[Reads]] | None = None, *beside: BaseRoute
    ) -> tuple[Starlette, Frame]:
        settings = self._accounts.settings(account)
        reads = Reads(open_desk(settings.model_copy(update={"hints": ()})))
        frame = Frame(self._access, reads, self.names)
        pages = Pages(reads, frame, all_of or (lambda: [reads]))
        actions = Actions(reads, frame, self._access, lambda: MassConvert(settings))
        inside = routes(pages, LeadPages(reads, frame), DayPages(reads, frame), actions, frame)
        made = Starlette(routes=[*inside, *beside], exception_handlers=_errors(frame))
        made.state.reads = reads
        return made, frame


def routes(pages: Pages, leads: LeadPages, days: DayPages, actions: Actions, frame: Frame) -> list[BaseRoute]:
    """Every address."""
    shown = {
        "/": pages.front,
        "/batches": pages.batches,
        "/batches/{batch}": pages.batch,
        "/batches/{batch}/cancel": actions.ask_cancel,
        "/batches/{batch}/retry": actions.ask_retry,
        "/batches/{batch}/{part}.csv": pages.file,
        "/days": days.days,
        "/days.csv": days.file,
        "/leads": leads.leads,
        "/leads/{lead}": leads.lead,
        "/search": pages.search,
        "/metrics": pages.metrics,
        "/healthz": pages.health,
        "/login": actions.ask_login,
    }
    done = {
        "/batches/{batch}/pause": actions.pause,
        "/batches/{batch}/resume": actions.resume,
        "/batches/{batch}/cancel": actions.cancel,
        "/batches/{batch}/retry": actions.retry,
        "/pause": actions.stop,
        "/resume": actions.go,
        "/login": actions.login,
        "/logout": actions.logout,
    }
    asset = _asset(frame)
    return [
        *(Route(path, _told(page, frame), methods=["GET"]) for path, page in shown.items()),
        *(Route(path, _taking_a_form(_told(action, frame), frame), methods=["POST"]) for path, action in done.items()),
        Route("/static/{name}", asset, methods=["GET"]),
    ]


def _told(page: Callable[..., Response], frame: Frame) -> Callable[..., Response]:
    """A page that answers with what is wrong, where something is."""

    def answer(request: Request, *form: Mapping[str, str]) -> Response:
        try:
            return page(request, *form)
        except MassConvertError as error:
            return frame.error(request.scope, _status_of(error), error.message, error.hint)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a bug: its traceback is for the log, where nothing in it is obeyed
            told = readable_traceback(error)
            log.error("the dashboard failed at %s:\n%s", request.scope["path"], told)  # noqa: TRY400 - told readably
            return frame.error(request.scope, 500, "This page failed: a bug of massconvert.", "Its log says more.")

    return answer


def _status_of(error: MassConvertError) -> int:
    if isinstance(error, UnknownBatchError):
        return 404
    return 503 if isinstance(error, StoreError) else 409


def _taking_a_form(action: Callable[..., Response], frame: Frame) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                return frame.error(
                    request.scope, 413, "This form is too long, so nothing was done.", "Give less at once."
                )
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        return await run_in_threadpool(action, request, form)

    return answer


def _asset(frame: Frame) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        asset = frame.assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return Response(asset.body, 200, {"cache-control": "public, max-age=31536000, immutable"}, asset.kind)

    return answer


def _errors(frame: Frame) -> dict[Any, Any]:
    async def wrong_address(request: Request, error: Any) -> Response:
        said = "There is no such page." if error.status_code == 404 else "This page cannot be asked so."
        return frame.error(request.scope, error.status_code, said, "")

    return {HTTPException: wrong_address}
