"""Result files as bulk loaders write them: what succeeded, what to fix, what was not processed."""

from __future__ import annotations

from massconvert.results.join import Results, write_results
from massconvert.results.rows import COLUMNS, Part, part_lines
