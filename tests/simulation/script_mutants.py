"""Bugs of the ledger: a line of a Lua script that is wrong or missing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.simulation.plan import Plan
from tests.simulation.seeding import Mutant, both, converted_just_before_it_was_lost, in_lua
from tests.simulation.troubles import with_faults


def _slow_behind_its_canary(plan: Plan) -> Plan:
    """The producer comes back with more leads once its batch was taken for abandoned, and its canary is on its way."""
    orders = tuple(
        replace(order, canary=2, canary_max_failed=None, slow=400.0, at=1.0, again=(), holds=(), cancel_at=())
        for order in plan.orders[:1]
    )
    return with_faults(replace(plan, orders=orders, slice=2), jobs=(500.0, 600.0))


def _finished_before_the_last_ids(plan: Plan) -> Plan:
    """Producers are so slow that their batch is cancelled, and has finished, before their last ids come."""
    orders = (
        order
        if order.find
        else replace(order, slow=400.0, invalid=("abc", "3.65E+18"), abandoned=0, cancel_at=(order.at + 1.0,))
        for order in plan.orders
    )
    return replace(plan, orders=tuple(orders), slice=1)


def _paused_at_a_claim(plan: Plan) -> Plan:
    """A person pauses everything when a payload has just been claimed."""
    return replace(plan, stop_at=("after claim_chunk", 2), stop_batch=False, pauses=())


MUTANTS = (
    Mutant(
        "the lease is not renewed",
        in_lua("begin_send", "local till = now + tonumber(ARGV[4])", "local till = now"),
        "messages",
        "while it held its lease",
    ),
    Mutant(
        "nobody keeps when a payload left whose answer is lost",
        in_lua("begin_send", "if ARGV[7] ~= '' then redis.call('HSET', key, 'reached', ARGV[7]) end", ""),
        "crashes",
        "somebody else converted it",
        shaped=partial(converted_just_before_it_was_lost, seconds=12.0),
    ),
    Mutant(
        "a claim ignores leases",
        in_lua("claim_chunk", "(tonumber(lease or 0) or 0) > now", "false"),
        "messages",
        "held its lease",
    ),
    Mutant(
        "set without compare",
        in_lua("move_chunk", "if c[1] ~= ARGV[3] or c[2] ~= ARGV[2] then return { 0 } end", ""),
        "frozen",
        "",
    ),
    Mutant(
        "the sweep ignores lapsed senders",
        in_lua("take_overdue", "state == 'done' then", "state == 'done' or state == 'sending' then"),
        "crashes",
        "",
    ),
    Mutant(
        "no dedupe against other batches",
        in_lua("add_leads", "elseif redis.call('SADD', live_key(p, lead), lead) == 0 then", "elseif false then"),
        "calm",
        "is in flight in",
    ),
    Mutant(
        "sent is never counted down",
        in_lua("move_chunk", "(is_sent and #stay or 0)", "(is_sent and #segment[2] or 0)"),
        "calm",
        "sent and has",
    ),
    Mutant(
        "one lead alone speaks for the options",
        in_lua("move_chunk", ">= changes.blame[4]", ">= 1"),
        "bad leads",
        "without a reason",
    ),
    Mutant(
        "late leads come into a finished batch",
        in_lua("add_leads", "if b[5] == '1' then reopen_batch(p, batch, now) end", ""),
        "producers",
        "has finished with leads",
    ),
    Mutant(
        "one permit too many", in_lua("take_permit", "running >= most", "running > most"), "limits", "; Zoho allows"
    ),
    Mutant(
        "everybody probes",
        in_lua("take_permit", "if kind ~= '' then redis.call('HSET'", "if false then redis.call('HSET'"),
        "outage",
        "calls probe at once",
    ),
    Mutant(
        "a refusal leaves the others waiting",
        in_lua("move_chunk", "redis.call('ZADD', p .. 'refused', 'NX', now, fp)", ""),
        "options",
        "",
    ),
    Mutant(
        "a hold forgets what was formed",
        in_lua(
            "hold_batch",
            "for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do place_chunk(p, id, now) end\n  return 1",
            "return 1",
        ),
        "holds",
        "and parked:",
    ),
    Mutant(
        "a parked chunk keeps its claim",
        both(
            in_lua("hold_batch", "redis.call('HDEL', p .. 'chunk:' .. id, 'lease', 'token')", ""),
            in_lua("begin_send", "local held = is_held(p, parts, c[5])", "local held = false"),
        ),
        "stops",
        "not held and parked:",
    ),
    Mutant(
        "held leads fill the window",
        in_lua("hold_batch", "  bound_chunk(p, id, 'waiting', '', true)\n", ""),
        "holds",
        "and in unsent",
    ),
    Mutant(
        "a canary holds nothing",
        in_lua("form_chunks", "hold_for_canary(p, batch, now)\n  end\nend", "end\nend"),
        "holds",
        "more leads than its canary",
    ),
    Mutant(
        "what comes after a canary that was the whole batch goes with it",
        in_lua("add_leads", "b[9] = b[9] or hold_behind_canary()", ""),
        "holds",
        "more leads than its canary",
        shaped=_slow_behind_its_canary,
    ),
    Mutant(
        "a dead canary lets the others follow",
        in_lua("move_chunk", " and tonumber(b[3]) <= tonumber(b[4])", ""),
        "holds",
        "more leads than its canary",
    ),
    Mutant(
        "a living canary waits for somebody",
        in_lua("move_chunk", "if canary then judge_canary(p, batch, now) end", ""),
        "holds",
        "though its canary lives",
    ),
    Mutant(
        "leads are sent before their preflight",
        in_lua("form_chunks", "'state', 'settling', 'why', begin", "'state', 'waiting'"),
        "preflight",
        "without a preflight",
    ),
    Mutant(
        "a cancelled batch is read and sent",
        in_lua("cancel_batch", "c[2] == 'preflight' or ", ""),
        "preflight",
        "which was cancelled",
    ),
    Mutant(
        "two leads make the same at once",
        in_lua("claim_identities", "if holder and holder ~= lead then", "if false then"),
        "matches",
        "makes what",
    ),
    Mutant(
        "claims outlive their lead",
        in_lua("move_chunk", "for _, lead in ipairs(leads) do free_identities(p, lead) end", ""),
        "matches",
        "still holds making",
    ),
    Mutant(
        "begin_send does not look at a pause",
        in_lua("begin_send", "if redis.call('EXISTS', p .. 'pause') == 1 and", "if false and"),
        "stops",
        "was sent after a person had paused",
    ),
    Mutant(
        "a worker with a claim calls while a person has paused",
        in_lua("take_permit", "if ARGV[11] == '1' and", "if false and"),
        "stops",
        "was called after a person had paused",
        shaped=_paused_at_a_claim,
    ),
    Mutant(
        "an answer ends a person's pause",
        in_lua("move_chunk", "and redis.call('HEXISTS', p .. 'pause', 'probe') == 0 then", "and false then"),
        "stops",
        "what a person has paused goes on",
    ),
    Mutant(
        "a cancelled lead is sent again after a 500",
        both(
            in_lua("move_chunk", "if fields.state == 'waiting' and end_cancelled", "if false and end_cancelled"),
            in_lua("begin_send", "if end_cancelled(p, id, now) > 0 then", "if false then"),
        ),
        "stops",
        "was sent after batch-",
    ),
    Mutant(
        "a claimed payload goes out although its batch was cancelled",
        both(
            in_lua("cancel_batch", "if c[1] == 'waiting' or reads then", "if reads then"),
            in_lua("begin_send", "if end_cancelled(p, id, now) > 0 then", "if false then"),
        ),
        "stops",
        "was sent after batch-",
    ),
    Mutant(
        "the rest of a canary is skipped after a pause",
        in_lua(
            "release_batch",
            "if over then redis.call('HDEL', key, 'canary_held') end",
            "redis.call('HDEL', key, 'canary_held')",
        ),
        "holds",
        "more leads than its canary",
    ),
    Mutant(
        "a full Redis refuses to stop",
        in_lua("cancel_batch", "redis.call('DEL', KEYS[1] .. 'full')", ""),
        "full",
        "a full Redis refused: cancel",
    ),
    Mutant(
        "leads are converted again for their deals",
        in_lua("form_chunks", "'state', 'settling', 'why', begin", "'state', 'waiting'"),
        "deals",
        "which only updates deals",
    ),
    Mutant(
        "a retry of deals takes the room of payloads",
        in_lua("form_chunks", "(begin == 'ids' and 'jobs' or 'unsent')", "'unsent'"),
        "deals",
        "and in unsent",
    ),
    Mutant(
        "what a lead brings for its deal is forgotten",
        in_lua("claim_chunk", "deal_values = some and cjson.encode(values) or nil", ""),
        "deals",
        "the amount of its deal is None",
    ),
    Mutant(
        "what leads bring for their deals is kept for ever",
        in_lua("move_chunk", "elseif group[1] == 'converted' and", "elseif false and"),
        "deals",
        "which has them",
    ),
    Mutant(
        "the chunk of the deals is nobody's",
        in_lua("move_chunk", "  redis.call('ZADD', p .. 'due', now + grace, id)\n", ""),
        "deals",
        "never due",
    ),
    Mutant(
        "a call that failed is forgotten",
        in_lua(
            "end_callback",
            "redis.call('ZADD', p .. 'callbacks', now + tonumber(ARGV[5]), id)",
            "redis.call('ZREM', p .. 'callbacks', id)",
        ),
        "receivers",
        "was never told",
    ),
    Mutant(
        "who failed late has the call made again",
        in_lua("end_callback", "if not redis.call('ZSCORE', p .. 'callbacks', id) then return 0 end", ""),
        "frozen",
        "and will again",
    ),
    Mutant(
        "a batch is told of before it has finished",
        in_lua("take_callback", "if redis.call('HEXISTS', key, 'finished') == 0 or ", "if "),
        "receivers",
        "",
    ),
    Mutant(
        "ids that are none come into a finished batch",
        in_lua("refuse_ids", "if sealed == '1' then reopen_batch(p, batch, now) end", ""),
        "producers",
        "was never told",
        shaped=_finished_before_the_last_ids,
    ),
    Mutant(
        "every lead goes at once",
        in_lua("add_leads", "> now - quiet then return false", "> now then return false"),
        "calm",
        "goes without company",
    ),
    Mutant(
        "leads that are skipped are not told of",
        in_lua("add_leads", "tell_ends(p, batch, ARGV[6], skipped)", ""),
        "calm",
        "the events do not tell of",
    ),
    Mutant(
        "leads that end together are counted as one",
        in_lua("move_chunk", "count_ends(p, outcome, #leads)", "count_ends(p, outcome, 1)"),
        "calm",
        "ends are counted",
    ),
    Mutant(
        "a move is missing in the story",
        in_lua(
            "move_chunk", "fields.story = story_with(c[12], changes.row, now, changes.told)", "fields.story = c[12]"
        ),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "a move is told twice",
        in_lua(
            "move_chunk", "story_with(c[12], changes.row", "story_with(story_with(c[12], changes.row, now), changes.row"
        ),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "what is told again is not counted",
        in_lua("move_chunk", "(tonumber(string.match(before, '^%d+') or nil) or 1) + 1", "1"),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "a half does not know what happened before",
        in_lua("move_chunk", "story_with(fields.story, mark, now,", "story_of(mark, now,"),
        "",
        "the story of lead",
    ),
    Mutant(
        "the write-ahead is not told",
        in_lua("begin_send", "story_with(c[9], 'sending', now, '|' .. ARGV[9])", "c[9]"),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "a story is told of others, too",
        in_lua("move_chunk", "n == 1 and fields.story or nil, #groups", "n == 1 and fields.story or nil, 1"),
        "answers",
        "the story of lead",
    ),
    Mutant(
        "what is given back twice is counted twice",
        in_lua("return_permit", "if ours == 1 then count_call", "if true then count_call"),
        "store",
        "calls are counted",
    ),
    Mutant(
        "a day keeps its last quarter of an hour",
        in_lua("move_chunk", "(redis.call('GET', key) or '') .. string", "string"),
        "outage",
        "the days have counted",
    ),
)
