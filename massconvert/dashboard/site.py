"""All addresses of the page, and what becomes of errors; put together behind the door."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from massconvert.cli.desk import open_desk
from massconvert.dashboard.actions import Actions
from massconvert.dashboard.door import Access, Door
from massconvert.dashboard.frame import Frame
from massconvert.dashboard.lead_pages import LeadPages
from massconvert.dashboard.pages import Pages
from massconvert.dashboard.reads import Reads
from massconvert.errors import MassConvertError, StoreError, UnknownBatchError
from massconvert.producer import MassConvert
from massconvert.profiles import Accounts
from massconvert.readable import readable_traceback
from massconvert.settings import Settings

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
    settings = Accounts(base=settings).settings(account)
    token = settings.dashboard_token.get_secret_value()
    access = Access(token, trust_header, who, hosts, read_only)
    reads = Reads(open_desk(settings.model_copy(update={"hints": ()})))
    frame = Frame(access, reads)
    pages, actions = Pages(reads, frame), Actions(reads, frame, access, lambda: MassConvert(settings))
    inside = Starlette(routes=routes(pages, LeadPages(reads, frame), actions, frame), exception_handlers=_errors(frame))
    inside.state.reads = reads
    return Door(inside, access, frame.refuse)


def routes(pages: Pages, leads: LeadPages, actions: Actions, frame: Frame) -> list[Route]:
    """Every address."""
    shown = {
        "/": pages.front,
        "/batches": pages.batches,
        "/batches/{batch}": pages.batch,
        "/batches/{batch}/cancel": actions.ask_cancel,
        "/batches/{batch}/retry": actions.ask_retry,
        "/batches/{batch}/{part}.csv": pages.file,
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
