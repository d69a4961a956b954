"""Names that others rely on: tasks, queues, exit codes. Each stands here once and nowhere else."""

from __future__ import annotations

from enum import IntEnum

# Tasks: a public contract. Producers may have nothing but Celery installed.
TASK_ENQUEUE = "massconvert.enqueue"
TASK_CHUNK = "massconvert.chunk"
TASK_CONVERT = "massconvert.convert"
TASK_STATUS = "massconvert.status"
TASK_SWEEP = "massconvert.sweep"
TASK_CALL_BACK = "massconvert.call_back"
TASK_RUN_PROFILE = "massconvert.run_profile"

QUEUE = "massconvert"
QUEUE_CONVERT = "massconvert.convert"
QUEUE_STATUS = "massconvert.status"

#: Where workers note the messages that they hold, when the broker is Redis: a HASH, and two keys that begin so.
UNACKED = "massconvert.unacked"

#: How many tasks a worker runs at once, unless it is started with -c.
WORKER_SLOTS = 20

#: The account that the environment's settings are of, unless MASSCONVERT_ACCOUNT names another.
DEFAULT_ACCOUNT = "default"

#: The most ids that one enqueue message should hold: 2.3 MB of JSON, well below the 16 MiB that RabbitMQ takes. A
#: broker that refuses a message tells no producer without publisher confirms.
MAX_IDS_A_MESSAGE = 100_000
#: The most leads that one mass convert call takes (API page: "a maximum of up to 50 records IDs").
MAX_LEADS_A_CALL = 50
#: The most ids that one Get Records call takes.
MAX_IDS_A_READ = 100


class Exit(IntEnum):
    """What the command line exits with."""

    OK = 0  # every lead converted or skipped (or, without waiting, accepted)
    SOME_FAILED = 1  # or their deals could not be given values of their own, or another batch has them
    USAGE = 2  # wrong usage or input
    UNREACHABLE = 3  # settings, Redis or Zoho not reachable
    STILL_RUNNING = 4  # --wait ran out while the batch goes on
