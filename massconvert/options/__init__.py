"""What to convert into: Zoho's own body keys, all but ``ids``, checked before anything is enqueued.

Accepted verbatim as the API's JSON, and in Python's friendlier form; equal options have one fingerprint, whichever way
they came. The source is the page of the Mass Convert Lead API. What is wrong is told all at once, each with its path.

``check`` needs nothing but the options. ``names``, ``deals`` and ``examine`` hold them against what an organisation
lists about itself (users, modules, fields, layouts, pipelines), as far as that could be read.
"""

from __future__ import annotations

from massconvert.options.body import fingerprint, link_body, resolve_body
from massconvert.options.examine import Examined, examine, listings_for
from massconvert.options.extras import (
    begins_with,
    deal_templates,
    deals_only,
    doubted,
    is_doubted,
    matching_of,
    without_doubts,
)
from massconvert.options.lengths import fitted
from massconvert.options.model import Deal, Options
from massconvert.options.names import Resolution, resolve_names, unresolved
from massconvert.options.problem import Problem, demand
from massconvert.options.start import parse_canary, parse_priority
from massconvert.options.text import read_text
