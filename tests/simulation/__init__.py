"""A simulation of all that can go wrong: one thread, thousands of histories a minute, each from its seed.

The promise of this project, *one true outcome for every lead, whatever breaks*, is about orders of events: a worker
that dies between a POST and its record, a message delivered twice, a lease that lapses while its holder sleeps, a read
that lags behind the write it should show. Tests of examples find the orders that somebody thought of. Tests with real
processes find those that happen to happen, a few in an hour, and cannot show them again. So here the *product's own
code* runs, steps and policy and Lua scripts, in a world whose time, chance, messages, machines and Zoho are ours; it
runs again and again, each time in another order; and after every step something that knows the whole truth looks at it.

Read it in this order:

world        virtual time; tasks as greenlets that stop around every port call; processes that freeze or die there
store_port   the port to a real redis-server, and how Redis fails
messages     the port to the broker: lost, doubled, delayed, deleted
crm          the port to Zoho: the truth about every lead, and faults before and after each effect
plan         what a seed stands for: who takes part and what goes wrong
history      a plan, played: workers, producers, people
judge        what must hold, after every step and at the end (audit.lua: the ledger with itself)
reach        what must have been visited, so that green means something
shrink       a failing history made small enough to read
mutants      bugs seeded on purpose: proof that the simulation bites
crew         many histories in several processes; ``python -m tests.simulation`` drives it

The method is known from databases ("deterministic simulation testing": FoundationDB, TigerBeetle); docs/simulation.md
says how it is used here, what it measured, and what it cannot show.
"""
