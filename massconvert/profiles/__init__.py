"""Profiles: named conversions in ``massconvert.toml``, checked, and what follows from them: queries and slots."""

from __future__ import annotations

from massconvert.profiles.accounts import Accounts
from massconvert.profiles.criteria import count_query, page_query
from massconvert.profiles.model import Config, LeadCriteria, Limits, Profile, Schedule
from massconvert.profiles.reading import ConfigFile
from massconvert.profiles.slots import latest_slot, next_slot, parse_slot, slot_name
