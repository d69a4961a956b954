"""What to convert into: Zoho's own body keys, all but ``ids``, checked before anything is enqueued.

Accepted verbatim as the API's JSON, and in Python's friendlier form; equal options have one fingerprint, whichever way
they came. The source is the page of the Mass Convert Lead API. What is wrong is told all at once, each with its path.
"""

from __future__ import annotations

from massconvert.options.body import fingerprint, resolve_body
from massconvert.options.model import Deal, Options

__all__ = ["Deal", "Options", "fingerprint", "resolve_body"]
