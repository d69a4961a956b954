"""Lead ids: what is one, and how they are read from a file of any usual form."""

from __future__ import annotations

from massconvert.leads.ids import check_batch_key, demand_valid, parse_lead_id, valid_ids
from massconvert.leads.lines import LeadLine
from massconvert.leads.reading import Table, open_table, read_lead_ids
from massconvert.leads.spool import Leads, open_leads
