"""One line per check; the process fails if any of them did."""

import asyncio
import time
import traceback
import uuid

import httpx

LIMIT_SECONDS = 20


class Checks:
    """Runs checks, each within a limit, and says how each went."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.failed = False

    async def check(self, name, work):
        name = f"{self.prefix} {name}"
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await work()
        except Exception as error:  # noqa: BLE001
            self.failed = True
            why = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
            print(f"not ok {name}: {why}", flush=True)
        else:
            print(f"ok {name}", flush=True)


def expect(what, holds):
    if not holds:
        raise AssertionError(f"expected {what}")


def expect_equal(what, found, expected):
    if found != expected:
        raise AssertionError(f"expected {what} to be {expected!r}, found {found!r}")


def fresh(what):
    return f"{what}-{uuid.uuid4()}"


class Origin:
    """The port of an agent that is there for the checks."""

    def __init__(self, url):
        self.http = httpx.AsyncClient(base_url=url)

    async def calls(self, check):
        return (await self.http.get("/calls", params={"check": check})).json()["calls"]

    async def count(self):
        return (await self.http.get("/count")).json()["count"]

    async def open(self, gate):
        (await self.http.post(f"/gates/{gate}")).raise_for_status()


async def until(what, look):
    """Looks until there is something."""
    end = time.monotonic() + LIMIT_SECONDS
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"expected {what} within {LIMIT_SECONDS} s")
        await asyncio.sleep(0.02)
