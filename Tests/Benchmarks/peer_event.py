"""The peer of bench_event: FastAPI with asyncpg, one durable INSERT a request, as its documentation would have it."""

import os
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel


class Event(BaseModel):
    id: int
    at: datetime
    user_id: int
    kind: str
    path: str
    status: int
    latency_ms: float
    ok: bool


@asynccontextmanager
async def lifespan(app):
    app.state.pool = await asyncpg.create_pool(
        host=os.environ["PEER_SOCKET"], user="millrace", database="millrace", min_size=8, max_size=16)
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


@app.post("/events", status_code=202)
async def insert(event: Event, request: Request):
    await request.app.state.pool.execute(
        "insert into peer.event values ($1, $2, $3, $4, $5, $6, $7, $8)",
        event.id, event.at, event.user_id, event.kind, event.path, event.status, event.latency_ms, event.ok)
    return {"state": "stored"}
