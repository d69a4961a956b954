"""The catalogue of keys: every key that we write, its type, who writes it, when it goes.

All keys of an account share the hash tag ``{account}``, so they live in one slot of a Redis Cluster. The Lua scripts
build the same names from the prefix, which is their only ``KEYS`` argument.
"""

from __future__ import annotations

from dataclasses import dataclass


class _Key:
    """A key that an account has once: its name behind the prefix, and what it holds."""

    def __init__(self, name: str, doc: str) -> None:
        self._name, self.__doc__ = name, doc

    def __get__(self, keys: Keys, owner: type | None = None) -> str:
        return f"{keys.prefix}{self._name}"


@dataclass(frozen=True)
class Keys:
    """The keys of one account (a named set of credentials)."""

    account: str

    @property
    def prefix(self) -> str:
        """What all of them begin with."""
        return f"mc:{{{self.account}}}:"

    # --- batches (ledger/batches.py); they expire together, a retention time after the batch has finished ---

    def batch(self, batch_id: str) -> str:
        """HASH: fp, given, created, finished, sealed, shards, priority, counts by kind, drain, held, canary, …

        ``held`` is why a person holds it, ``canary_held`` since when it waits for its canary.
        ``given`` is there where the options were given with names, and ``fp`` is that of their ids. ``history`` is that
        of Redis in which its leads were written; "several" where leads came in more than one.
        While it is open again: finished_before, total_before (when it had finished, with how many leads).
        Of its failed leads by code: failed:CODE, reason:CODE, and failed_codes, how many codes those are.
        Of its callbacks: on_complete, targets, and for each number called:N, call_tries:N, call_error:N.
        """
        return f"{self.prefix}batch:{batch_id}"

    def batch_members(self, batch_id: str, shard: int) -> str:
        """SET of lead ids: what the batch was given, for dropping duplicates."""
        return f"{self.batch(batch_id)}:members:{shard}"

    def batch_inbox(self, batch_id: str) -> str:
        """LIST of lead ids that wait for company; gone when empty."""
        return f"{self.batch(batch_id)}:inbox"

    def batch_chunks(self, batch_id: str) -> str:
        """SET of the open chunks that hold leads of the batch."""
        return f"{self.batch(batch_id)}:chunks"

    def batch_ended(self, batch_id: str) -> str:
        """LIST of the leads that have ended: an outcome's JSON (and their story), then the ids of who ended so."""
        return f"{self.batch(batch_id)}:ended"

    def batch_invalid(self, batch_id: str) -> str:
        """HASH what was given → outcome JSON, of what is not a lead id."""
        return f"{self.batch(batch_id)}:invalid"

    def batch_deals(self, batch_id: str) -> str:
        """HASH lead id → JSON of the values that it brings for its deal; gone when the deal has them.

        Of a lead that is to be linked: a list of 2, those values, the ids of contact and account (blank: a new one).
        """
        return f"{self.batch(batch_id)}:deals"

    batches = _Key(
        "batches",
        "ZSET batch id → when it was made; a new batch forgets those of expired ones, and so does who lists them. "
        "``batches:place`` is a STRING: how many of the oldest the last new batch left, since they still live.",
    )
    deeds = _Key(
        "deeds",
        "LIST of JSON, newest first: what people did on the page, to which batch, when; the latest some hundred.",
    )
    unsealed = _Key("unsealed", "ZSET batch id → when it was last added to; gone when the enqueue ends.")
    draining = _Key(
        "draining",
        "ZSET of refused or cancelled batches whose inbox must still be ended → since when, the first of them "
        "first. An older version kept them in the SET ``drain``; what it left there moves over.",
    )

    # --- inboxes and chunks (ledger/chunks.py) ---

    def options(self, fingerprint: str) -> str:
        """HASH: json, resolved, begin, accepted, probing, flush, waiting, batches, turn, refusal, refused_at, blamed, …

        ``blamed`` counts the leads that were refused alone for one unexplained reason, ``blamed_as``, while no payload
        with these options was ever accepted.
        ``resolved`` is ``json`` with ids for its names; ``begin`` is why its chunks are settled at first; ``turn`` is
        the last turn given out in its queues. While refused batches stand there: refused_turn (theirs are not after
        it), refused_fate (how their leads end), refused_waiting (how many they are). It expires after its last batch.
        """
        return f"{self.prefix}options:{fingerprint}"

    def queue(self, fingerprint: str) -> str:
        """ZSET batch id → its turn, of batches that wait with these options; those that are held do not stand here.

        An older version kept a LIST ``queue:{fingerprint}``; what it left there moves over.
        """
        return f"{self.prefix}bulk:{fingerprint}"

    def express_queue(self, fingerprint: str) -> str:
        """ZSET of interactive batches that wait with these options, as ``queue``, and served before it.

        An older version kept a LIST ``express:{fingerprint}``.
        """
        return f"{self.prefix}interactive:{fingerprint}"

    refused = _Key(
        "refused",
        "ZSET fingerprint → when Zoho refused these options, while batches that waited with them stand in a queue.",
    )
    inboxes = _Key("inboxes", "ZSET fingerprint → when a chunk may be formed from its inbox.")
    express = _Key("express", "ZSET: those of ``inboxes`` in which interactive leads wait.")
    overtaken = _Key("overtaken", "STRING: how many payloads in a row interactive leads have begun.")

    def chunk(self, chunk_id: str) -> str:
        """HASH: state, fp, members (open leads), due, expected, lease, token, send_by, job, history, story, …

        Where contacts and accounts are looked for: matched (when), link (JSON), behind (digests of others' claims).
        """
        return f"{self.prefix}chunk:{chunk_id}"

    chunks = _Key("chunks", "STRING: the last chunk id given out.")
    due = _Key("due", "ZSET chunk id → when the sweep looks whether its message got lost.")
    unsent = _Key("unsent", "SET of chunks waiting to be sent: what the window bounds.")
    linking = _Key("linking", "SET of those of `unsent` that link a lead: they take less room in the window.")
    jobs = _Key("jobs", "SET of chunks that Zoho works on or that wait for a look: what the most jobs bound.")
    overdue = _Key(
        "overdue",
        "SET of chunks whose job has no end by its deadline, or that wait for other leads: outside of the bounds.",
    )

    def live(self, shard: int) -> str:
        """SET of lead ids in flight in any batch."""
        return f"{self.prefix}live:{shard}"

    making = _Key(
        "making",
        "HASH digest of what identifies a contact or an account → the lead in flight whose conversion may make it.",
    )
    identities = _Key(
        "identities",
        "HASH lead id → its digests in ``making``, comma-separated; gone when the lead ends.",
    )

    # --- runs of profiles (ledger/runs.py) ---

    def run(self, run_id: str) -> str:
        """HASH: profile, slot, state, job, cursor, counts, due, lease, token, …; expires after its end."""
        return f"{self.prefix}run:{run_id}"

    def run_found(self, run_id: str) -> str:
        """LIST of lead ids that were found and are not in the batch yet; gone when empty."""
        return f"{self.run(run_id)}:found"

    runs_due = _Key("runs:due", "ZSET run id → when the sweep looks whether its message got lost.")

    def profile(self, name: str) -> str:
        """HASH: slot (the latest begun), open (the run of a slot that still finds), last (run), start (a lead id),

        failures: how many of its runs in a row have failed wholly.
        """
        return f"{self.prefix}profile:{name}"

    # --- whose ledger it is, and in which format (ledger/title.py) ---

    title = _Key(
        "ledger",
        "HASH: format; once it has an owner: owner (a digest), kind, name, place, known:DIGEST and client:DIGEST.",
    )
    history = _Key(
        "history",
        "HASH: id (Redis' replication id), name, since (0: the first that is known), breaks: lua/_history.lua. "
        "``replicas`` is how many were attached lately; ``fewer_since`` is there while fewer are.",
    )

    # --- the organisation (ledger/organisation.py) ---

    pause = _Key(
        "pause",
        "HASH: code, reason, hint, since, probe, by; there while the organisation is paused. ``by`` is the token "
        "of the claim that is the probe. A person's pause has no probe; what Zoho had said, or says meanwhile, "
        "stands beside it: also_code, also_reason, also_hint.",
    )
    jobtimes = _Key("jobtimes", "LIST of the latest job times in seconds, newest first, at most 128.")
    fared = _Key(
        "fared",
        "HASH: answered, linked, converted: when Zoho last answered a payload or a link, a job converted a lead.",
    )
    trial = _Key(
        "on_trial",
        "HASH: root (the chunk whose jobs fail and that is split, with its parts, though nobody fares better). Of "
        "those without an answer: splits (how many), at (when the next may be). Gone when a job converts; "
        "expires.",
    )
    looks = _Key("looks", "HASH size of a payload → what was learnt of its job: see `policy.Look` (a JSON list).")
    max_leads = _Key("max_leads", "STRING: a lower limit of leads a payload that Zoho has shown; expires after a day.")
    max_read = _Key(
        "max_read",
        "STRING: a lower limit of ids a read that Zoho has shown; expires after a day, unless a rehearsal saw it.",
    )
    seen = _Key("seen", "STRING: JSON of what a rehearsal has seen of the organisation (ledger/rehearsed.py).")
    sweep_lease = _Key("sweep", "STRING: until when somebody sweeps (Unix seconds); expires by itself.")

    # --- events (ledger/events.py) ---

    events = _Key("events", "STREAM of the leads that have ended, about as many as are to be kept.")
    events_keep = _Key(
        "events:keep",
        "STRING: how many events are kept; there when somebody wants them (MASSCONVERT_EVENTS).",
    )

    # --- calls about finished batches (ledger/callbacks.py) ---

    callbacks = _Key("callbacks", "ZSET number:batch → when the batch's target of that number is to be called.")
    callbacks_busy = _Key("callbacks:busy", "ZSET number:batch → until when somebody makes this call.")

    # --- messages that were not taken (ledger/letters.py) ---

    def letters(self, kind: str) -> str:
        """ZSET letter id → since when it is kept: those that are ``stuck``, and those that were ``refused``."""
        return f"{self.prefix}letters:{kind}"

    def letter(self, letter_id: str) -> str:
        """HASH: kind, facts (JSON), message (JSON), of a message that is kept for a person."""
        return f"{self.prefix}letter:{letter_id}"

    letters_bytes = _Key("letters:bytes", "HASH kind → how many bytes the messages of its letters have.")
    late = _Key(
        "letters:late",
        "HASH message id → since when, last when, how many times it was not taken, and why; expires.",
    )
    fleet = _Key(
        "fleet",
        "HASH role:name → JSON of when a worker or beat was seen and took something; expires a day after the last.",
    )

    # --- what the organisation lists about itself (store/shelf.py) ---

    def listing(self, name: str) -> str:
        """STRING: rows of JSON and when they were read; expires an hour later."""
        return f"{self.prefix}listing:{name}"

    # --- permits to call Zoho (zoho/governor.py); the rules are in policy/calls.py ---

    permits = _Key("permits", "ZSET permit id → when its lease ends.")
    permits_post = _Key(
        "permits:post",
        "ZSET permit id → when its lease ends: those of ``permits`` that are for a mass convert POST.",
    )

    def permit_wake(self, what: str) -> str:
        """LIST: a permit of this kind (``any``, …, ``express``) may be free, for BLPOP; never ``pause``; expires."""
        return f"{self.prefix}permits:wake:{what}"

    permits_wanted = _Key(
        "permits:wanted",
        "ZSET permit id → until when it waits: those of POSTs, beside which polls take only their share; expires.",
    )
    permits_express = _Key(
        "permits:express",
        "ZSET permit id → until when it waits: those of payloads with interactive leads, woken first; expires.",
    )
    permits_turn = _Key(
        "permits:turn",
        "STRING: how often one of ``permits_express`` or another in its turn was woken; expires.",
    )
    gate = _Key("gate", "HASH: until, why; there while the gate is closed; expires.")
    limit = _Key(
        "limit",
        "HASH: calls, source; how many calls may run at once by the edition; expires after a day at most.",
    )
    limit_lock = _Key("limit:lock", "STRING: somebody asks Zoho for the organisation's edition; expires by itself.")
    learnt = _Key(
        "limit:learnt",
        "HASH: calls, event, ceiling, at, row; the limit as 429s have taught it; expires an hour after it changed.",
    )
    hold = _Key(
        "hold",
        "HASH: kind, why, since, wait, tries, probe (when one may go), by (its permit); there while calls are held.",
    )
    unusable = _Key("unusable", "STRING: unusable answers in a row, before they make a hold; expires.")
    credits = _Key("credits", "HASH: left, at; the day's credits as Zoho said last; expires an hour later.")
    rate = _Key("rate", "STRING: until when the calls of the last minute use up MASSCONVERT_CALLS_PER_MINUTE; expires.")

    # --- what is counted (ledger/counts.py); written by lua/_counts.lua alone

    counts = _Key(
        "counts",
        "HASH: name → number since the ledger began; ``quarter``: the quarter of an hour of the last one. "
        "``ended_at``: when a lead ended last.",
    )
    counts_before = _Key(
        "counts:before",
        "HASH: the numbers as they were when that quarter began, those that have grown before.",
    )
    counts_letters = _Key("counts:letters", "HASH: name → the letters that stand for it in a day's text.")

    def day(self, number: int) -> str:
        """STRING: what came in each quarter of an hour of a day (Unix seconds / 86,400); expires after 400 days."""
        return f"{self.prefix}days:{number}"

    # --- the access token (zoho/oauth.py); a set of keys for each set of credentials, named by their digest, so that
    # --- workers with new credentials never use, or spoil, the token of the old ones

    def token(self, credentials: str) -> str:
        """HASH: value, api_domain, refresh_at, expires_at; the one access token of the fleet; expires with it."""
        return f"{self.prefix}token:{credentials}"

    def token_lock(self, credentials: str) -> str:
        """STRING: who refreshes the token now; expires by itself."""
        return f"{self.token(credentials)}:lock"

    def token_trouble(self, credentials: str) -> str:
        """STRING: why there is no token, as JSON: why, code, detail; expires when the next refresh may be tried."""
        return f"{self.token(credentials)}:trouble"

    def token_wake(self, credentials: str) -> str:
        """LIST of one element: a refresh has ended; a waiter takes the element and puts it back; expires."""
        return f"{self.token(credentials)}:wake"

    def token_grants(self, credentials: str) -> str:
        """LIST of when tokens were granted, newest first, as many as may be asked for in 10 minutes; expires."""
        return f"{self.token(credentials)}:grants"
