"""A hand-written asyncio loop that knows the limit: no ledger, no look after a lost answer, no second process.

Usage: asyncio_loop.py URL PERMITS JOB_SECONDS LEADS; prints the seconds it took and the 429s it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

from benchmarks.stand import LEADS_A_CALL, OPTIONS

PATH = "/crm/v8/Leads/actions/mass_convert"


async def main(url: str, permits: int, job_seconds: float, leads: int) -> None:
    """Convert the simulator's leads."""
    form = {"refresh_token": "x", "client_id": "x", "client_secret": "x", "grant_type": "refresh_token"}
    throttled = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=permits)) as session:
        async with session.post(f"{url}/oauth/v2/token", data=form) as answer:
            headers = {"Authorization": f"Zoho-oauthtoken {(await answer.json())['access_token']}"}
        async with session.get(f"{url}/__simulator__/leads") as answer:
            ids = (await answer.json())[:leads]
        body: dict[str, Any] = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Closing_Date": "2027-12-31"}}
        limit = asyncio.Semaphore(permits)

        async def call(method: str, **arguments: Any) -> Any:
            nonlocal throttled
            async with limit, session.request(method, f"{url}{PATH}", headers=headers, **arguments) as answer:
                throttled += answer.status == 429
                return await answer.json()

        async def convert(chunk: list[str]) -> None:
            accepted = await call("POST", json={"ids": chunk, **body})
            job = accepted["details"]["job_id"]
            await asyncio.sleep(job_seconds)
            for _ in range(100):
                status = await call("GET", params={"job_id": job})
                if status["data"][0]["Status"].lower() == "completed":
                    return
                await asyncio.sleep(job_seconds / 4)

        began = time.perf_counter()
        await asyncio.gather(*(convert(ids[at : at + LEADS_A_CALL]) for at in range(0, len(ids), LEADS_A_CALL)))
        print(json.dumps({"seconds": time.perf_counter() - began, "throttled": throttled}))


if __name__ == "__main__":
    _url, _permits, _job_seconds, _leads = sys.argv[1:]
    asyncio.run(main(_url, int(_permits), float(_job_seconds), int(_leads)))
