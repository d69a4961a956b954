"""Lead ids: what is one, and how they are read from a file of any usual form."""

from __future__ import annotations

from massconvert.leads.ids import check_batch_key, parse_lead_id
from massconvert.leads.reading import LeadLine, read_lead_ids
from massconvert.leads.spool import Leads, open_leads

__all__ = ["LeadLine", "Leads", "check_batch_key", "open_leads", "parse_lead_id", "read_lead_ids"]
