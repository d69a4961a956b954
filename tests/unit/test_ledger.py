"""The ledger on fakeredis: the tests of the scripts, of fairness and of holds once more, without a server.

So a script that only works on one of the two is found, and so is a fakeredis on which no unit test can be relied.
"""

from __future__ import annotations

import pytest

from tests.integration.test_fairness import *  # noqa: F403 - all of its tests
from tests.integration.test_holds import *  # noqa: F403 - as above
from tests.integration.test_scripts_batches import *  # noqa: F403 - as above
from tests.integration.test_scripts_callbacks import *  # noqa: F403 - as above
from tests.integration.test_scripts_chunks import *  # noqa: F403 - as above
from tests.integration.test_scripts_organisation import *  # noqa: F403 - as above

pytestmark: list[pytest.MarkDecorator] = []  # type: ignore[no-redef]  # not theirs: here they are unit tests
