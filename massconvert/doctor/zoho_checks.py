"""Zoho: the token, its scopes, the edition's limit. Every call asks the governor first, as a worker's does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.scopes import SCOPES, Answer, Scope, not_granted
from massconvert.doctor.site import Site
from massconvert.doctor.whose import Whose, findings_of, refused_entirely, whose
from massconvert.errors import SettingsError, StoreError
from massconvert.model import Busy, NotSent, PerhapsAccepted, Refused, Unsent
from massconvert.policy import Permit
from massconvert.policy.codes import TOKEN_CODES, TOKEN_HINTS
from massconvert.words.plurals import number_of
from massconvert.zoho import Governor, ZohoClient
from massconvert.zoho.answers import Body
from massconvert.zoho.datacenters import DATA_CENTERS, hosts_of
from massconvert.zoho.edition import OrgAnswer, limit_of
from massconvert.zoho.grants import Credentials, ask_for_token
from massconvert.zoho.standing import read_standing
from massconvert.zoho.transport import Transport

#: What to do about credentials that Zoho refuses. invalid_client for good ones usually means another data centre.
_FIXES = {
    "invalid_client": "Set ZOHO_DATA_CENTER to where the organisation lives: the end of the address of its CRM says "
    f"(crm.zoho.eu is eu; there are {', '.join(DATA_CENTERS)}). If it is right, fix ZOHO_CLIENT_ID.",
    "invalid_code": "Make a new refresh token with this client (the command login does), and set "
    "ZOHO_REFRESH_TOKEN; if it is new, check ZOHO_DATA_CENTER, and whether it is a grant code: login exchanges that.",
    "invalid_client_secret": "Copy the secret of this client id into ZOHO_CLIENT_SECRET.",
    "access_denied": "Have the user, or another one, grant access again: make a new refresh token, and set "
    "ZOHO_REFRESH_TOKEN.",
    "unauthorized_client": "Look for the client in Zoho's API console; if it is gone, make one, and set its id, its "
    "secret and a new refresh token.",
    "ACCOUNTS_URL": "Unset ZOHO_ACCOUNTS_URL, or fix it; see what is between here and Zoho (proxy, firewall).",
}
_FIXES["invalid_grant"] = _FIXES["invalid_code"]
_SCOPE_FIX = "Make a new refresh token with this scope and the others: the command login shows the line to paste."


def check_zoho(site: Site) -> Iterator[Finding]:
    """The token, then each scope, then the limit; the first thing that stops all calls ends it."""
    try:
        site.settings.require_zoho()
    except SettingsError:
        return  # the credentials' own check says so
    try:
        site.reach_redis()
    except StoreError:
        if site.aside is None:
            yield from _token_alone(site)
            return
        site = site.aside
    look = ZohoLook()
    yield from look.at(*site.zoho)
    if look.complete:
        yield from findings_of(look.whose, site.clock.now())
        yield _limit(site, look.answers["ZohoCRM.org.READ"])


@dataclass
class ZohoLook:
    """A harmless call for each scope, and what each answered; what stops all calls ends it before it is complete."""

    answers: dict[str, Answer] = field(default_factory=dict)
    complete: bool = False

    def at(self, zoho: ZohoClient, governor: Governor) -> Iterator[Finding]:
        """Make the calls, and say what each shows. Raises StoreError."""
        for scope in SCOPES:
            permit = governor.acquire(scope.call)
            if isinstance(permit, Busy):
                fix = f"Ask again in {max(permit.in_seconds, 1):.0f} s."
                yield warning("scopes", f"Not all were looked at: {permit.why}.", fix)
                return
            answer = self.answers[scope.name] = _ask(zoho, governor, permit, scope)
            trouble = _stops_all_calls(answer)
            if trouble:
                yield trouble
                return
            if len(self.answers) == 1:
                yield ok("token", "Zoho gives an access token for these credentials, and takes it.")
            yield _judge(scope, answer)
        self.complete = True
        refusals = {told[0]: told[1] for told in map(refused_entirely, self.answers.values()) if told}
        if len(refusals) == 1 and all(map(refused_entirely, self.answers.values())):
            yield wrong("api", *refusals.popitem())

    @property
    def whose(self) -> Whose:
        """Whose the credentials are, as far as the answers tell."""
        org = cast("OrgAnswer", self.answers["ZohoCRM.org.READ"])  # what its probe gives
        return whose(org, self.answers.get("ZohoCRM.users.READ"))

    def missing(self) -> list[Scope]:
        """The scopes that the token does not have."""
        return [scope for scope in SCOPES if _is_missing(self.answers.get(scope.name))]


def _ask(zoho: ZohoClient, governor: Governor, permit: Permit, scope: Scope) -> Answer:
    answer = None
    try:
        answer = scope.probe(zoho)
        return answer
    finally:
        governor.release(permit, answer)


def _token_alone(site: Site) -> Iterator[Finding]:
    """Without Redis nobody can ask for a permit; but the accounts server knows credentials and scopes."""
    s = site.settings
    hosts = hosts_of(s)
    transport = Transport(connect_timeout=s.connect_timeout, deadline=s.call_deadline, slots=1)
    credentials = Credentials.of(s)
    grant = ask_for_token(transport, credentials, hosts, "" if s.zoho_accounts_url else s.zoho_data_center)
    transport.close()
    if isinstance(grant, NotSent):
        yield no_token(grant)
        return
    yield ok("token", "Zoho gives an access token for these credentials.")
    yield from map(_missing, not_granted(grant.scope))


def no_token(answer: NotSent) -> Finding:
    """What is wrong, and what to do, where Zoho gives no access token."""
    if answer.why is Unsent.CREDENTIALS:
        fix = _FIXES.get(answer.code, "Fix the credentials.")
    elif answer.code in TOKEN_HINTS:
        fix = "Wait some minutes; then see what else asks for tokens with this refresh token."
    elif answer.why is Unsent.DENIED:
        fix = "See what Zoho says of the client, the user and the organisation; then ask again."
    else:
        fix = "See whether this machine may reach Zoho (proxy, firewall, DNS), and ZOHO_ACCOUNTS_URL if it is set."
    return wrong("token", f"No access token: {answer.in_words}.", fix)


def _stops_all_calls(answer: Answer) -> Finding | None:
    if isinstance(answer, NotSent):
        if answer.why in (Unsent.CREDENTIALS, Unsent.NO_TOKEN, Unsent.DENIED):
            return no_token(answer)
        return wrong("api", f"Zoho's API cannot be reached: {answer.detail}.", "See proxy, firewall, ZOHO_API_DOMAIN.")
    if isinstance(answer, Refused) and answer.code in TOKEN_CODES:
        fix = "If it says so again, make a new refresh token; ZOHO_API_DOMAIN may be another data centre's."
        return wrong("token", f"Zoho does not take its own access token: {answer.code}.", fix)
    if isinstance(answer, Refused) and answer.status == 429:
        fix = "See what else calls this organisation's API, and how many credits are left."
        return warning("api", f"Zoho answered 429 {answer.code}: over a limit.", fix)
    if isinstance(answer, Refused) and (answer.status in (404, 405) or _is_another_version(answer)):
        fix = "Fix ZOHO_API_VERSION or ZOHO_API_DOMAIN."
        return wrong("api", f"Zoho knows no such call: {answer.status} {answer.code}.", fix)
    return None


def _judge(scope: Scope, answer: Answer) -> Finding:
    if isinstance(answer, PerhapsAccepted):
        return warning("scope", f"{scope.name}: no usable answer ({answer.detail}).", "Ask again later.")
    if _is_missing(answer):
        return _missing(scope)
    if isinstance(answer, Refused) and answer.status == 403:
        found = wrong if scope.needed else warning
        what = f"{scope.name}: the token's user may not ({answer.code} {answer.message}): {scope.without}."
        return found("scope", what, "Give the user's profile the permission, or use another user's refresh token.")
    return ok("scope", scope.name)


def _is_another_version(answer: Refused) -> bool:
    """Some calls say the same in a sandbox, and name it then."""
    return answer.code == "API_NOT_SUPPORTED" and "unsupported_environment" not in answer.details


def _is_missing(answer: Answer | None) -> bool:
    return isinstance(answer, Refused) and answer.code == "OAUTH_SCOPE_MISMATCH"


def _missing(scope: Scope) -> Finding:
    found = wrong if scope.needed else warning
    return found("scope", f"{scope.name} is missing: {scope.without}.", _SCOPE_FIX)


def _limit(site: Site, org: Answer) -> Finding:
    given = site.settings.zoho_concurrency
    now = read_standing(site.redis, site.keys, site.clock, given)
    edition, source, _ = limit_of(org) if isinstance(org, Body) else (0, "", 0)
    if given and source.startswith("edition") and given > edition:
        allowed = number_of(edition, "call")
        what = f"ZOHO_CONCURRENCY is {given}, but the {source} allows {allowed} at once: Zoho will throttle."
        return warning("limit", what, f"Set ZOHO_CONCURRENCY to {edition}, or unset it.")
    most = number_of(now.limit, "call runs", "calls run")
    if not given and "ZOHO_CONCURRENCY" in now.source:  # it names the remedy: the edition is not known
        return warning(
            "limit",
            f"At most {most} at once, since the edition is not known.",
            now.source,
        )
    return ok("limit", f"At most {most} at once ({now.source}).")
