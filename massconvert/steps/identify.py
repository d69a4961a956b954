"""Identify: read what converted leads have become, a hundred a call, and what deals will be named.

Outside of the pipeline: nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from massconvert.model import Busy, Call, DealUpdate, LeadsRead, Listing, ReadAnswer, Trouble, load_brought
from massconvert.model.template import fields_of, filled
from massconvert.options import fitted
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports


def identify(ports: Ports, leads: Sequence[str], fields: Sequence[str] = ()) -> ReadAnswer | Busy:
    """Read up to 100 leads with one call, under the organisation's limit like every other."""
    asked = ask(ports, Call.READ, lambda: ports.zoho.read_leads(leads, fields))
    return asked if isinstance(asked, Busy) else asked.answer


def deals_to_be(
    ports: Ports, leads: Sequence[str], templates: Mapping[str, str], brought: Mapping[str, str]
) -> tuple[DealUpdate, ...] | Trouble | Busy:
    """What the deals of some leads would be given after the conversion, by their leads as they are now, with one call.

    ``brought`` is what leads bring, as JSON. Leads that Zoho does not show are left out.
    """
    fields = dict.fromkeys(name for text in templates.values() for name in fields_of(text))
    answer = identify(ports, leads, tuple(fields))
    if not isinstance(answer, LeadsRead):
        return answer
    own = {lead: load_brought(brought.get(lead))[0] for lead in leads if lead in answer.states}
    deals = []
    for lead, values in own.items():
        of = answer.states[lead].fields
        texts = {name: filled(text, of) for name, text in templates.items()}
        deals.append(DealUpdate(lead, "", "", "", {**texts, **values}))
    return fitted(deals, templates, own, ports.ledger.shelf.rows(Listing.FIELDS))
