"""Celery's settings, one page, each with its reason.

The ledger carries the promise (docs/decisions/0001): a message is a hint that may be lost, doubled or late. What stands
here makes hints cheap and quick, and keeps a worker alive through an outage of Redis.
"""

from __future__ import annotations

from kombu import Exchange, Queue

from massconvert.broker import celery_broker
from massconvert.contract import (
    QUEUE,
    QUEUE_CONVERT,
    QUEUE_STATUS,
    TASK_CALL_BACK,
    TASK_CHUNK,
    TASK_CONVERT,
    TASK_ENQUEUE,
    TASK_RUN_PROFILE,
    TASK_STATUS,
    TASK_SWEEP,
    UNACKED,
    WORKER_SLOTS,
)
from massconvert.settings import load_settings

_settings = load_settings()

# --- broker ---------------------------------------------------------------------------------------------------

_broker = celery_broker(_settings.broker_url, _settings.connect_timeout)
# CELERY_BROKER_URL, or the ledger's own Redis, as Celery reaches it.
broker_url = _broker["broker_url"]
broker_use_ssl = _broker.get("broker_use_ssl", False)
# A worker that starts before Redis waits for it, and one that loses it comes back, however long that takes: the
# default gives up for good after 100 tries.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A broker that is there and refuses is an error of the "channel" to kombu, and by default the end of the worker. Redis
# does in a failover (READONLY, UNBLOCKED), with a full disk or memory (MISCONF, OOM), without a replica (NOREPLICAS);
# RabbitMQ while the node is down that has a queue (404), or while a password is changed (403).
broker_channel_error_retry = True
broker_transport_options = {
    # Far above the longest countdown (60 s, tasks/obey.py) plus a task's run time: a message held for longer is
    # delivered again, and with a countdown beyond it the copies double at each retry. Not higher: what a killed worker
    # held waits for this (the ledger's sweep does not).
    "visibility_timeout": 300,
    # Where our unacknowledged messages are noted. By default all apps on a Redis database note theirs in the same keys,
    # and each worker hands out again what is older than its own time-out there, whosever it is: another app's task of
    # ten minutes, again and again (docs/decisions/0022-unacked-keys-of-our-own.md).
    "unacked_key": UNACKED,
    "unacked_index_key": f"{UNACKED}_index",
    "unacked_mutex_key": f"{UNACKED}_mutex",
    **_broker["broker_transport_options"],
    # Payloads before looks at jobs, and both in turn with what comes in.
    "queue_order_strategy": "workers.order:PostsFirst",
    # No global_keyprefix: an app that has only Celery would have to know it, and queue names carry our name already.
    # No retry_on_timeout: a second try of a push whose answer was lost doubles the message.
}
# `celery inspect` listens on one connection while it sends on another. A worker has one (workers/lifecycle.py).
broker_pool_limit = 2
# With the default of three retries a hung Redis holds a task for 25 s; the sweep sends again what was not sent.
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0.1, "interval_max": 0.2}

# --- messages -------------------------------------------------------------------------------------------------

# Data only: a pickled message would be code that anybody who can write to the broker may run here.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"
# Outcomes are in the ledger. No result backend, so nothing is stored, expires or fills Redis.
task_ignore_result = True
result_backend = None
timezone = "UTC"
enable_utc = True

# --- queues ---------------------------------------------------------------------------------------------------

# Exchange and routing key as Celery makes them for `send_task(..., queue="massconvert")`, so that a producer with
# nothing but Celery reaches the same queue. A worker without -Q takes all three; each may have workers of its own.
task_queues = tuple(Queue(name, Exchange(name), routing_key=name) for name in (QUEUE, QUEUE_CONVERT, QUEUE_STATUS))
task_default_queue = QUEUE
task_routes = {
    TASK_ENQUEUE: {"queue": QUEUE},
    TASK_CHUNK: {"queue": QUEUE},
    TASK_SWEEP: {"queue": QUEUE},
    TASK_RUN_PROFILE: {"queue": QUEUE},
    TASK_CALL_BACK: {"queue": QUEUE},
    TASK_CONVERT: {"queue": QUEUE_CONVERT},
    TASK_STATUS: {"queue": QUEUE_STATUS},
}
imports = (
    "tasks.call_back",
    "tasks.chunk",
    "tasks.convert",
    "tasks.enqueue",
    "tasks.run_profile",
    "tasks.status",
    "tasks.sweep",
)

# --- running --------------------------------------------------------------------------------------------------

# A task waits for Zoho nearly all its time: 20 threads do in 60 MiB what 20 processes do in 1 GiB
# (docs/decisions/0005-threads.md). -P gevent or solo and -c overrule these.
worker_pool = "workers.pool:WakingThreads"
worker_concurrency = WORKER_SLOTS
# No more messages than threads: what a worker holds beyond that, it must still run after SIGTERM, and other workers
# cannot have. Measured throughput is the same as with 4. RabbitMQ's quorum queues refuse the kind of limit that Celery
# sets, and 0 sets none (docs/decisions/0015-classic-queues.md).
worker_prefetch_multiplier = 0 if _settings.quorum_queues else 1
# Acknowledged when done, so that a killed worker's messages come back. A second run changes nothing: every step claims.
task_acks_late = True
# For prefork only. A task whose process dies each time (out of memory) would be requeued without end; the
# sweep brings its chunk back with a pause instead.
task_reject_on_worker_lost = False
# When the broker's connection drops, a running POST goes on to its end: cancelling it would lose the answer.
worker_cancel_long_running_tasks_on_connection_loss = False
# After a reconnection Celery would take fewer messages for a while, and say so to the broker from the pool's threads.
# With RabbitMQ they then read from the socket that the loop reads: frames are torn, and the worker goes deaf. (Redis'
# transport only notes the number.)
worker_enable_prefetch_count_reduction = False
# How often a task may be retried is not counted here (workers/celery.py sets max_retries=None): the ledger counts.
# Nobody reads these, and they are messages: `celery events` and monitors may ask for the first at run time (-E).
worker_send_task_events = False
task_send_sent_event = False
task_track_started = False
# `celery -A massconvert inspect active` and `control shutdown` work; they need what a monitor needs anyway.
worker_enable_remote_control = True
# workers/lifecycle.py sets up the log: one line a record. Prints of libraries go where they were sent.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# --- beat -----------------------------------------------------------------------------------------------------

# Workers sweep by themselves; this hint is a second net, and it expires when nobody takes it. The profiles' schedules
# come from massconvert.toml (workers/schedule.py).
beat_schedule = {
    "sweep": {"task": TASK_SWEEP, "schedule": 60.0, "options": {"queue": QUEUE, "expires": 60}},
}
# Its file is kept beside the rest of our state, not in whatever directory beat was started from.
beat_scheduler = "workers.schedule:ProfileScheduler"
beat_schedule_filename = str(_settings.state_dir / "beat-schedule")
# How soon an edit of massconvert.toml is seen, in seconds; a look asks the file system for its time. Celery's default
# is five minutes.
beat_max_loop_interval = 5
