"""The catalogue of keys: every key that we write, its type, who writes it, when it goes.

All keys of an account share the hash tag ``{account}``, so they live in one slot of a Redis Cluster. The Lua scripts
build the same names from the prefix, which is their only ``KEYS`` argument.
"""

from __future__ import annotations

from dataclasses import dataclass

from massconvert.store.keys_beside import KeysBeside


@dataclass(frozen=True)
class Keys(KeysBeside):
    """The keys of one account (a named set of credentials); the rest of them is in store/keys_beside.py."""

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

    @property
    def batches(self) -> str:
        """ZSET batch id → when it was made; a new batch forgets those of expired ones, and so does who lists them.

        ``batches:place`` is a STRING: how many of the oldest the last new batch left, since they still live.
        """
        return f"{self.prefix}batches"

    @property
    def deeds(self) -> str:
        """LIST of JSON, newest first: what people did on the page, to which batch, when; the latest some hundred."""
        return f"{self.prefix}deeds"

    @property
    def unsealed(self) -> str:
        """ZSET batch id → when it was last added to; gone when the enqueue ends."""
        return f"{self.prefix}unsealed"

    @property
    def draining(self) -> str:
        """ZSET of refused or cancelled batches whose inbox must still be ended → since when, the first of them first.

        An older version kept them in the SET ``drain``; what it left there moves over.
        """
        return f"{self.prefix}draining"

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

    @property
    def refused(self) -> str:
        """ZSET fingerprint → when Zoho refused these options, while batches that waited with them stand in a queue."""
        return f"{self.prefix}refused"

    @property
    def inboxes(self) -> str:
        """ZSET fingerprint → when a chunk may be formed from its inbox."""
        return f"{self.prefix}inboxes"

    @property
    def express(self) -> str:
        """ZSET: those of ``inboxes`` in which interactive leads wait."""
        return f"{self.prefix}express"

    @property
    def overtaken(self) -> str:
        """STRING: how many payloads in a row interactive leads have begun."""
        return f"{self.prefix}overtaken"

    def chunk(self, chunk_id: str) -> str:
        """HASH: state, fp, members (open leads), due, expected, lease, token, send_by, job, history, story, …

        Where contacts and accounts are looked for: matched (when), link (JSON), behind (digests of others' claims).
        """
        return f"{self.prefix}chunk:{chunk_id}"

    @property
    def chunks(self) -> str:
        """STRING: the last chunk id given out."""
        return f"{self.prefix}chunks"

    @property
    def due(self) -> str:
        """ZSET chunk id → when the sweep looks whether its message got lost."""
        return f"{self.prefix}due"

    @property
    def unsent(self) -> str:
        """SET of chunks waiting to be sent: what the window bounds."""
        return f"{self.prefix}unsent"

    @property
    def linking(self) -> str:
        """SET of those of `unsent` that link a lead: they take less room in the window."""
        return f"{self.prefix}linking"

    @property
    def jobs(self) -> str:
        """SET of chunks that Zoho works on or that wait for a look: what the most jobs bound."""
        return f"{self.prefix}jobs"

    @property
    def overdue(self) -> str:
        """SET of chunks whose job has no end by its deadline, or that wait for other leads: outside of the bounds."""
        return f"{self.prefix}overdue"

    def live(self, shard: int) -> str:
        """SET of lead ids in flight in any batch."""
        return f"{self.prefix}live:{shard}"

    @property
    def making(self) -> str:
        """HASH digest of what identifies a contact or an account → the lead in flight whose conversion may make it."""
        return f"{self.prefix}making"

    @property
    def identities(self) -> str:
        """HASH lead id → its digests in ``making``, comma-separated; gone when the lead ends."""
        return f"{self.prefix}identities"

    # --- runs of profiles (ledger/runs.py) ---

    def run(self, run_id: str) -> str:
        """HASH: profile, slot, state, job, cursor, counts, due, lease, token, …; expires after its end."""
        return f"{self.prefix}run:{run_id}"

    def run_found(self, run_id: str) -> str:
        """LIST of lead ids that were found and are not in the batch yet; gone when empty."""
        return f"{self.run(run_id)}:found"

    @property
    def runs_due(self) -> str:
        """ZSET run id → when the sweep looks whether its message got lost."""
        return f"{self.prefix}runs:due"

    def profile(self, name: str) -> str:
        """HASH: slot (the latest begun), open (the run of a slot that still finds), last (run), start (a lead id),

        failures: how many of its runs in a row have failed wholly.
        """
        return f"{self.prefix}profile:{name}"

    # --- whose ledger it is, and in which format (ledger/title.py) ---

    @property
    def title(self) -> str:
        """HASH: format; once it has an owner: owner (a digest), kind, name, place, known:DIGEST and client:DIGEST."""
        return f"{self.prefix}ledger"

    @property
    def history(self) -> str:
        """HASH: id (Redis' replication id), name, since (0: the first that is known), breaks: lua/_history.lua.

        ``replicas`` is how many were attached lately; ``fewer_since`` is there while fewer are.
        """
        return f"{self.prefix}history"

    # --- the organisation (ledger/organisation.py) ---

    @property
    def pause(self) -> str:
        """HASH: code, reason, hint, since, probe, by; there while the organisation is paused.

        ``by`` is the token of the claim that is the probe. A person's pause has no probe; what Zoho had said, or says
        meanwhile, stands beside it: also_code, also_reason, also_hint.
        """
        return f"{self.prefix}pause"

    @property
    def jobtimes(self) -> str:
        """LIST of the latest job times in seconds, newest first, at most 128."""
        return f"{self.prefix}jobtimes"

    @property
    def fared(self) -> str:
        """HASH: answered, linked, converted: when Zoho last answered a payload or a link, a job converted a lead."""
        return f"{self.prefix}fared"

    @property
    def trial(self) -> str:
        """HASH: root (the chunk whose jobs fail and that is split, with its parts, though nobody fares better).

        Of those without an answer: splits (how many), at (when the next may be). Gone when a job converts; expires.
        """
        return f"{self.prefix}on_trial"

    @property
    def looks(self) -> str:
        """HASH size of a payload → what was learnt of its job: see `policy.Look` (a JSON list)."""
        return f"{self.prefix}looks"

    @property
    def max_leads(self) -> str:
        """STRING: a lower limit of leads a payload that Zoho has shown; expires after a day."""
        return f"{self.prefix}max_leads"

    @property
    def max_read(self) -> str:
        """STRING: a lower limit of ids a read that Zoho has shown; expires after a day, unless a rehearsal saw it."""
        return f"{self.prefix}max_read"

    @property
    def seen(self) -> str:
        """STRING: JSON of what a rehearsal has seen of the organisation (ledger/rehearsed.py)."""
        return f"{self.prefix}seen"

    @property
    def sweep_lease(self) -> str:
        """STRING: until when somebody sweeps (Unix seconds); expires by itself."""
        return f"{self.prefix}sweep"

    # --- events (ledger/events.py) ---

    @property
    def events(self) -> str:
        """STREAM of the leads that have ended, about as many as are to be kept."""
        return f"{self.prefix}events"

    @property
    def events_keep(self) -> str:
        """STRING: how many events are kept; there when somebody wants them (MASSCONVERT_EVENTS)."""
        return f"{self.prefix}events:keep"

    # --- calls about finished batches (ledger/callbacks.py) ---

    @property
    def callbacks(self) -> str:
        """ZSET number:batch → when the batch's target of that number is to be called."""
        return f"{self.prefix}callbacks"

    @property
    def callbacks_busy(self) -> str:
        """ZSET number:batch → until when somebody makes this call."""
        return f"{self.prefix}callbacks:busy"

    # --- messages that were not taken (ledger/letters.py) ---

    def letters(self, kind: str) -> str:
        """ZSET letter id → since when it is kept: those that are ``stuck``, and those that were ``refused``."""
        return f"{self.prefix}letters:{kind}"

    def letter(self, letter_id: str) -> str:
        """HASH: kind, facts (JSON), message (JSON), of a message that is kept for a person."""
        return f"{self.prefix}letter:{letter_id}"

    @property
    def letters_bytes(self) -> str:
        """HASH kind → how many bytes the messages of its letters have."""
        return f"{self.prefix}letters:bytes"

    @property
    def late(self) -> str:
        """HASH message id → since when, last when, how many times it was not taken, and why; expires."""
        return f"{self.prefix}letters:late"

    @property
    def fleet(self) -> str:
        """HASH role:name → JSON of when a worker or beat was seen and took something; expires a day after the last."""
        return f"{self.prefix}fleet"

    # --- what the organisation lists about itself (store/shelf.py) ---

    def listing(self, name: str) -> str:
        """STRING: rows of JSON and when they were read; expires an hour later."""
        return f"{self.prefix}listing:{name}"

    # --- leave to call Zoho (zoho/governor.py); the rules are in policy/calls.py ---

    @property
    def permits(self) -> str:
        """ZSET permit id → when its lease ends."""
        return f"{self.prefix}permits"

    @property
    def permits_post(self) -> str:
        """ZSET permit id → when its lease ends: those of ``permits`` that are for a mass convert POST."""
        return f"{self.prefix}permits:post"

    def permit_wake(self, what: str) -> str:
        """LIST: a permit of this kind (``any``, …, ``express``) may be free, for BLPOP; never ``pause``; expires."""
        return f"{self.prefix}permits:wake:{what}"

    @property
    def permits_wanted(self) -> str:
        """ZSET permit id → until when it waits: those of POSTs, beside which polls take only their share; expires."""
        return f"{self.prefix}permits:wanted"

    @property
    def permits_express(self) -> str:
        """ZSET permit id → until when it waits: those of payloads with interactive leads, woken first; expires."""
        return f"{self.prefix}permits:express"

    @property
    def permits_turn(self) -> str:
        """STRING: how often one of ``permits_express`` or another in its turn was woken; expires."""
        return f"{self.prefix}permits:turn"

    @property
    def gate(self) -> str:
        """HASH: until, why; there while the gate is closed; expires."""
        return f"{self.prefix}gate"

    @property
    def limit(self) -> str:
        """HASH: calls, source; how many calls may run at once by the edition; expires after a day at most."""
        return f"{self.prefix}limit"

    @property
    def limit_lock(self) -> str:
        """STRING: somebody asks Zoho for the organisation's edition; expires by itself."""
        return f"{self.prefix}limit:lock"

    @property
    def learnt(self) -> str:
        """HASH: calls, event, ceiling, at, row; the limit as 429s have taught it; expires an hour after it changed."""
        return f"{self.prefix}limit:learnt"

    @property
    def hold(self) -> str:
        """HASH: kind, why, since, wait, tries, probe (when one may go), by (its permit); there while calls are held."""
        return f"{self.prefix}hold"

    @property
    def unusable(self) -> str:
        """STRING: unusable answers in a row, before they make a hold; expires."""
        return f"{self.prefix}unusable"

    @property
    def credits(self) -> str:
        """HASH: left, at; the day's credits as Zoho said last; expires an hour later."""
        return f"{self.prefix}credits"

    @property
    def rate(self) -> str:
        """STRING: until when the calls of the last minute use up MASSCONVERT_CALLS_PER_MINUTE; expires."""
        return f"{self.prefix}rate"
