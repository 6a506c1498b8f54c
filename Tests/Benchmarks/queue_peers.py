"""pgqueuer, procrastinate and pgmq through their own clients, in the peers' environment; prints lines as queue-bench.

    queue_peers.py pgqueuer|procrastinate|pgmq setup|enqueue|work|pickup --url URL [--option value ...]
"""

import argparse
import asyncio
import json
import logging
import random
import signal
import sys
import time

logging.disable(logging.WARNING)


def line(**values):
    print(json.dumps(values), flush=True)


class Tally:
    def __init__(self):
        self.done, self.last, self.began = 0, 0.0, time.time()
        self.starts = asyncio.Queue()

    def job(self):
        self.done += 1
        self.last = time.time()

    async def report(self):
        line(start=self.began)
        while True:
            await asyncio.sleep(0.1)
            line(done=self.done, last=self.last)

    def end(self):
        line(start=self.began, done=self.done, last=self.last, processor_s=time.process_time())


class PgQueuer:
    """asyncpg, a connection a queue manager, `pgq autovac` applied, as its guide to tuning says."""

    async def driver(self, url):
        import asyncpg
        from pgqueuer.db import AsyncpgDriver

        return AsyncpgDriver(await asyncpg.connect(dsn=url))

    async def setup(self, options):
        from pgqueuer.queries import Queries

        queries = Queries(await self.driver(options.url))
        await queries.install()
        await queries.optimize_autovacuum()

    async def enqueuer(self, options):
        from pgqueuer.queries import Queries

        queries = Queries(await self.driver(options.url))

        async def enqueue(count):
            if count == 1:
                await queries.enqueue("bench", b"{}")
            else:
                await queries.enqueue(["bench"] * count, [b"{}"] * count, [0] * count)

        return enqueue

    async def worker(self, options, started, stop):
        from pgqueuer import PgQueuer as Application

        managers = [Application(await self.driver(options.url)) for _ in range(options.managers)]
        for manager in managers:
            @manager.entrypoint("bench")
            async def bench(job):
                started()

        async def stopping():
            await stop.wait()
            for manager in managers:
                manager.shutdown.set()

        watch = asyncio.create_task(stopping())
        await asyncio.gather(*(manager.run(batch_size=options.claim) for manager in managers))
        watch.cancel()


class Procrastinate:
    """psycopg's pool; a worker's `concurrency` is what it has in place of a batch."""

    def app(self, options):
        import procrastinate

        connector = procrastinate.PsycopgConnector(conninfo=options.url, min_size=2, max_size=10)
        return procrastinate.App(connector=connector)

    async def setup(self, options):
        app = self.app(options)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    async def enqueuer(self, options):
        app = self.app(options)

        @app.task(name="bench")
        async def bench():
            pass

        await app.open_async()

        async def enqueue(count):
            if count == 1:
                await bench.defer_async()
            else:
                await bench.batch_defer_async(*({} for _ in range(count)))

        return enqueue

    async def worker(self, options, started, stop):
        app = self.app(options)

        @app.task(name="bench")
        async def bench():
            started()

        async with app.open_async():
            work = asyncio.create_task(app.run_worker_async(
                concurrency=options.claim * options.managers, install_signal_handlers=False))
            watch = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)


class Pgmq:
    """Its SQL by psycopg: for what pgbench cannot measure. `read_with_poll` is its way to wait."""

    async def connect(self, options):
        import psycopg

        return await psycopg.AsyncConnection.connect(options.url, autocommit=True)

    async def setup(self, options):
        import pathlib

        import pgmq

        connection = await self.connect(options)
        await connection.execute((pathlib.Path(pgmq.__file__).parent / "sql/pgmq.sql").read_text())
        await connection.execute("select pgmq.create('bench')")

    async def enqueuer(self, options):
        connection = await self.connect(options)

        async def enqueue(count):
            await connection.execute(
                "select count(*) from pgmq.send_batch('bench', array_fill('{}'::jsonb, array[%s::int]))", (count,))

        return enqueue

    async def worker(self, options, started, stop):
        connection = await self.connect(options)
        while not stop.is_set():
            found = await connection.execute(
                "select msg_id from pgmq.read_with_poll('bench', 30, %s, 1, 100)", (options.claim,))
            ids = [row[0] for row in await found.fetchall()]
            if ids:
                for _ in ids:
                    started()
                await connection.execute("select count(*) from pgmq.delete('bench', %s::int8[])", (ids,))


async def enqueue(system, options):
    """So many connections, each in turn."""
    senders = [await system.enqueuer(options) for _ in range(options.clients)]
    left = options.jobs // options.batch
    began = time.monotonic()

    async def client(send):
        nonlocal left
        while left > 0:
            left -= 1
            await send(options.batch)

    await asyncio.gather(*(client(send) for send in senders))
    line(jobs=options.jobs, seconds=time.monotonic() - began, processor_s=time.process_time())


async def work(system, options):
    tally, stop = Tally(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    report = asyncio.create_task(tally.report())
    await system.worker(options, tally.job, stop)
    report.cancel()
    tally.end()


async def pickup(system, options):
    stop, starts = asyncio.Event(), asyncio.Queue()
    worker = asyncio.create_task(system.worker(options, lambda: starts.put_nowait(time.monotonic()), stop))
    send = await system.enqueuer(options)
    times = []
    for number in range(-20, options.count):
        await asyncio.sleep(options.gap / 1000 * random.uniform(1, 1.5))
        called = time.monotonic()
        await send(1)
        started = await asyncio.wait_for(starts.get(), 60)
        if number >= 0:
            times.append((started - called) * 1000)
    stop.set()
    await asyncio.wait([worker], timeout=10)
    times.sort()
    line(count=len(times), median_ms=times[(len(times) - 1) // 2], p99_ms=times[int((len(times) - 1) * 0.99)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=["pgqueuer", "procrastinate", "pgmq"])
    parser.add_argument("mode", choices=["setup", "enqueue", "work", "pickup"])
    parser.add_argument("--url", required=True)
    for name, standard in {"jobs": 1000, "batch": 1000, "clients": 2, "claim": 10, "managers": 1, "count": 100,
                           "gap": 60}.items():
        parser.add_argument(f"--{name}", type=int, default=standard)
    options = parser.parse_args()
    system = {"pgqueuer": PgQueuer, "procrastinate": Procrastinate, "pgmq": Pgmq}[options.system]()
    task = {"setup": lambda: system.setup(options), "enqueue": lambda: enqueue(system, options),
            "work": lambda: work(system, options), "pickup": lambda: pickup(system, options)}[options.mode]
    import uvloop

    uvloop.run(task())


if __name__ == "__main__":
    sys.exit(main())
