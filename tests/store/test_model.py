"""All scripts together against a model: random histories, checked after every step.

    LQ_MODEL_SEEDS=600 LQ_MODEL_STEPS=400 pytest tests/store/test_model.py -n auto

A failure names its seed and shows the last steps; LQ_MODEL_FIRST=<seed> LQ_MODEL_SEEDS=1 plays
just that one again.
"""

from __future__ import annotations

import os

import pytest
import redis

from tests.store.model.simulation import Simulation

SEEDS = int(os.environ.get("LQ_MODEL_SEEDS", "40"))
STEPS = int(os.environ.get("LQ_MODEL_STEPS", "250"))
FIRST = int(os.environ.get("LQ_MODEL_FIRST", "1"))
CHUNKS = min(SEEDS, 12)
"""Several, so that processes can share the work."""

SHOWN = 40


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.timeout(SEEDS * STEPS * 0.1)
def test_no_history_breaks_the_rules(redis_url: str, chunk: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for seed in range(FIRST + chunk, FIRST + SEEDS, CHUNKS):
            play(client, seed)


def play(client: redis.Redis, seed: int) -> None:
    world = Simulation(client, seed)
    try:
        world.run(STEPS)
        world.drain()
    except Exception as error:
        steps = "\n".join(world.trace[-SHOWN:])
        error.add_note(f"seed {seed}, step {len(world.trace)}; the last steps were\n{steps}")
        raise
