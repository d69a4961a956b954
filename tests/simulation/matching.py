"""Whether no lead became a second record of a customer, and none was linked to a record that is not its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from massconvert.model import Code, Link, Outcome
from tests.simulation.crm import Crm
from tests.simulation.customers import Kept, RecordPlan
from tests.simulation.plan import Order, Plan
from tests.simulation.truth import Lead, Submission
from tests.simulation.world import World

#: Seconds from a match to a call: a permit, a token and the way to Zoho.
_ON_THE_WAY = 90.0


class Matching:
    """Holds one history to the rules of matching."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        orders: Mapping[str, Order],
        outcomes: Mapping[tuple[str, str], Outcome],
        unknowable: Counter[str],
    ) -> None:
        self.crm: Crm
        self._plan, self._world, self._orders = plan, world, orders
        self._outcomes, self._unknowable = outcomes, unknowable

    def creates(self, lead: Lead, submission: Submission) -> None:
        """A payload is on its way that makes new records of a lead: had it a match when it was matched?"""
        order = self._orders.get(submission.batch)
        if order and (link := order.link_of(lead.id)):
            self._wrong(f"lead {lead.id} is to be created, and was given {link}")
        if order and order.on_match != "create" and (there := self._known(lead)):
            self._wrong(f"lead {lead.id} is to be created, and {there.record.id} is there")

    def links(self, lead: Lead, submission: Submission, body: Mapping[str, Any]) -> None:
        """A call is on its way that links a lead: is the record its own, and the only one?"""
        order, customers = self._orders.get(submission.batch), self.crm.customers
        if order and (link := order.link_of(lead.id)):
            if _body_of(link) != {module: body[module] for module in ("Contacts", "Accounts") if module in body}:
                self._wrong(f"lead {lead.id} is to be linked with {body}, and was given {link}")
            return
        if order is None or order.on_match != "link":
            self._wrong(f"lead {lead.id} is to be linked, and nobody wants that")
        if not {"Contacts", "Accounts"} & body.keys() or "$" in str(body):
            self._wrong(f"lead {lead.id} is to be linked with {body}")
        if why := customers.mismatch(lead, dict(body)):
            self._wrong(f"lead {lead.id} is to be linked, and {why}")
        for found in (customers.contacts(lead.value("Email")), customers.accounts(lead.value("Company"))):
            if sum(self._is_old(each) for each in found) > 1:
                self._wrong(f"lead {lead.id} is to be linked, and several records match")

    def made(self, lead: Lead, contact: RecordPlan, account: RecordPlan | None, batch: str) -> None:
        """A conversion makes these: has another of ours made the same?"""
        order, customers = self._orders.get(batch), self.crm.customers
        if order is None or order.on_match == "create" or order.link_of(lead.id):
            return
        there = [*customers.contacts(contact.email)] if not self._is_kept(contact) else []
        there += customers.accounts(account.name) if account else []
        ours = [each for each in there if self._orders_match(each.made_for[1])]
        if not ours:
            return
        if (batch, lead.id) in self._outcomes or any(self._late(*each.made_for) for each in ours):
            self._unknowable["a slow conversion made a second record"] += 1
        else:
            self._wrong(f"lead {lead.id} makes what {ours[0].made_for[0]} has made: {ours[0].record.id}")

    def untrue(self, order: Order, lead: Lead, code: str) -> str:
        """Why a lead of this order cannot have been held, by its ``code``; blank where it can."""
        if link := order.link_of(lead.id):
            refused = lead.unlinkable or self.crm.customers.mismatch(lead, _body_of(link))
            return "" if refused else f"and was given {link}"
        if order.on_match == "create":
            return "and nobody wants that"
        customers = self.crm.customers
        if code == Code.MATCH_UNCLEAR:
            return "and all that it has can be asked for"
        there = customers.contacts(lead.value("Email")) or customers.accounts(lead.value("Company"))
        return "" if there or lead.unlinkable else "and it matches nothing"

    def _known(self, lead: Lead) -> Kept | None:
        customers = self.crm.customers
        found = [*customers.contacts(lead.value("Email")), *customers.accounts(lead.value("Company"))]
        # What an earlier payload with the lead itself has made late: Zoho does not convert it again.
        others = (each for each in found if each.made_for[0] != lead.id)
        return next((each for each in others if self._is_old(each) or self._orders_match(each.made_for[1])), None)

    def _is_old(self, kept: Kept) -> bool:
        return kept.made_at < self._world.time - self._plan.tuning.match_fresh - _ON_THE_WAY

    def _is_kept(self, contact: RecordPlan) -> bool:
        return contact.id in self.crm.customers.kept

    def _orders_match(self, batch: str) -> bool:
        order = self._orders.get(batch)
        return order is not None and order.on_match != "create"

    def _late(self, lead: str, batch: str) -> bool:
        """Whether a lead had ended, for all that anybody knew, before it was converted after all."""
        outcome = self._outcomes.get((batch, lead))
        return outcome is not None and outcome.kind.value == "failed"

    def _wrong(self, words: str) -> None:
        if self._plan.store.forgets:  # claims are forgotten with the rest
            self._unknowable["claims were forgotten"] += 1
        else:
            self._world.wrong(words)


def _body_of(link: Link) -> dict[str, Any]:
    """What the call for a single lead says of the records that it is linked to."""
    ids = {"Contacts": link.contact_id, "Accounts": link.account_id}
    return {module: {"id": record} for module, record in ids.items() if record}
