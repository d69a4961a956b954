"""The buttons: what a page asks before it changes something, and the change itself, with the name of who wanted it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from massconvert.dashboard.door import COOKIE, LOGIN_HOLDS, PERSON, Access
from massconvert.dashboard.frame import Frame
from massconvert.dashboard.reads import Reads
from massconvert.errors import BrokerError
from massconvert.ledger import Deed
from massconvert.nudge import Nudge
from massconvert.policy.codes import Retry, retry_of
from massconvert.producer.intake import check_reason
from massconvert.producer.mass_convert import MassConvert
from massconvert.words.plurals import number_of

#: The fields of a form.
Form = Mapping[str, str]


class Actions:
    """What can be done about batches on the page. ``producer`` makes the `MassConvert` that does it."""

    def __init__(self, reads: Reads, frame: Frame, access: Access, producer: Callable[[], MassConvert]) -> None:
        self._reads, self._frame, self._access, self._make = reads, frame, access, producer
        self._made: MassConvert | None = None

    @property
    def _producer(self) -> MassConvert:
        self._made = self._made or self._make()
        return self._made

    def pause(self, request: Request, form: Form) -> Response:
        """Let nothing more of a batch be sent."""
        batch, reason = request.path_params["batch"], check_reason(form.get("reason", ""))
        done = self._producer.pause(batch, reason=reason, by=request.scope[PERSON])
        return self._done(request, "pause" if done else "nothing", batch, reason)

    def resume(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - as all actions are called
        """Let a batch go on that was paused, or waits after its canary."""
        batch = request.path_params["batch"]
        return self._done(request, "resume" if self._producer.resume(batch) else "nothing", batch)

    def stop(self, request: Request, form: Form) -> Response:
        """Call Zoho no more."""
        organisation, reason = self._reads.desk.ledger.organisation, check_reason(form.get("reason", ""))
        before = organisation.paused()
        if before and not before.code:  # the first person's reason stands
            return self._to(request, "", "nothing")
        organisation.pause(reason=reason, by=request.scope[PERSON])
        return self._done(request, "stop", "", reason)

    def go(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - as all actions are called
        """Call Zoho again, after any pause."""
        desk = self._reads.desk
        if not desk.ledger.organisation.resume():
            return self._to(request, "", "nothing")
        with suppress(BrokerError):  # workers find their work by themselves
            Nudge(desk.settings.broker_url, account=desk.settings.account).chunk()
        return self._done(request, "go", "")

    def cancel(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - as all actions are called
        """Call off what of a batch has not been sent."""
        batch = request.path_params["batch"]
        if self._producer.batch(batch).progress().finished:
            return self._done(request, "nothing", batch)
        ended, followed = self._producer.cancel(batch)
        return self._done(request, "cancel", batch, f"{number_of(ended, 'lead')} cancelled, {followed:,} under way")

    def retry(self, request: Request, form: Form) -> Response:
        """Take what failed in again, as a batch of its own."""
        batch, code = request.path_params["batch"], form.get("code", "")
        deals = form.get("deals", "") == "1"
        made = self._producer.retry(batch, codes=[code] if code else (), deals=deals)
        what = "their deals" if deals else code or "all that failed"
        self._note(request, "retry", batch, f"{what}, as {made.id}")
        return self._to(request, made.id, "retry")

    def ask_cancel(self, request: Request) -> Response:
        """The page that asks before a batch is cancelled."""
        status = self._reads.status(request.path_params["batch"])
        return self._frame.show(request, "cancel.html", status=status)

    def ask_retry(self, request: Request) -> Response:
        """The page that says what a retry costs before it is made."""
        status, asked = self._reads.status(request.path_params["batch"]), request.query_params
        code, deals = asked.get("code", "")[:200], asked.get("deals", "") == "1"
        failures = self._reads.failures(status.batch)
        counted = sum(each.leads for each in failures)
        if deals:
            leads = status.deals_not_updated
        elif code:
            leads = sum(each.leads for each in failures if each.code == code)
        else:
            not_ids = sum(each.leads for each in failures if retry_of(each.code) is Retry.NEW_INPUT)
            leads = (counted if counted == status.failed else status.failed) - not_ids
        cost, calls = self._reads.cost(leads), self._reads.calls()
        return self._frame.show(
            request, "retry.html", status=status, code=code, deals=deals, leads=leads, cost=cost, calls=calls
        )

    def login(self, request: Request, form: Form) -> Response:
        """Let somebody in who knows the token."""
        access, base = self._access, request.scope.get("root_path", "")
        if not access.is_token(form.get("token", "").strip()):
            return self._frame.show(
                request,
                "login.html",
                status_code=403,
                wrong=True,
                name=form.get("name", "")[:100],
                next=form.get("next", ""),
            )
        answer = RedirectResponse(f"{base}{_place_in(form.get('next', ''))}", 303)
        answer.set_cookie(
            COOKIE,
            access.cookie(form.get("name", "").strip()[:100] or "somebody"),
            max_age=int(LOGIN_HOLDS),
            path=f"{base}/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def logout(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - as all actions are called
        """Forget a login."""
        base = request.scope.get("root_path", "")
        answer = RedirectResponse(f"{base}/login", 303)
        answer.delete_cookie(COOKIE, path=f"{base}/", httponly=True, samesite="strict")
        return answer

    def ask_login(self, request: Request) -> Response:
        """The form for the token."""
        return self._frame.show(request, "login.html", wrong=False, name="", next=request.query_params.get("next", ""))

    def _done(self, request: Request, what: str, batch: str, more: str = "") -> Response:
        if what != "nothing":
            self._note(request, what, batch, more)
        return self._to(request, batch, what)

    def _note(self, request: Request, what: str, batch: str, more: str) -> None:
        desk = self._reads.desk
        desk.ledger.deeds.note(Deed(desk.clock.now(), request.scope[PERSON], what, batch, more))

    def _to(self, request: Request, batch: str, done: str) -> Response:
        self._reads.forget()
        place = f"batches/{quote(batch)}" if batch else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/{place}?done={done}", 303)


def _place_in(given: str) -> str:
    """A path of ours to go on to; the first page for anything else, such as another host."""
    ours = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable()
    return quote(given, safe="/?&=%@+.-_~") if ours else "/"
