"""Which deaths a seed tries.

A seed has one scenario, and a first life of its own whose steps and effects can be counted. Of these it tries a few:
steps and effects spread evenly over that life (by the golden ratio, so that all seeds together leave no gaps), and
*rare* places, chosen among the awaits in our code and not among the steps, most of which are spent at a few of them.
Some lives are asked to stop in order instead. Some deaths take the power along; after some the next life dies early
too, in the middle of recovering. And one trial has no death at all, but a defect that strikes an actor (`defects`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.system.simulation.scenarios import SCENARIOS, Scenario
from tests.system.simulation.trial import Cut, Outcome, Plan

GOLDEN = 0.6180339887498949

POWER_LOSS = 0.35
"""Of all deaths."""

DIES_AGAIN = 0.25
"""Of all second lives."""

EARLY_STEPS = 250
"""A daemon that starts over an open thread, lets its client in and recovers takes about so many."""

DEFECT_AT = 8
"""One in nine trials has no death but a defect."""

TURNS = ("build", "script", "careful", "careful script")
"""The tool turns, by calls and by scripts: every other seed tries one of them."""


def scenario_of(seed: int) -> Scenario:
    """Every other seed is a tool turn, the others take their turns."""
    half, odd = divmod(seed, 2)
    if not odd:
        return next(each for each in SCENARIOS if each.name == TURNS[half % len(TURNS)])
    return SCENARIOS[half % len(SCENARIOS)]


def plans(seed: int, rehearsal: Outcome, deaths: int) -> Iterator[Plan]:
    """So many trials of a seed, each with one or two deaths."""
    rng = random.Random(f"{seed}/plans")
    first = rehearsal.lives[0]
    sites = sorted(set(rehearsal.sites))
    for number in range(deaths):
        spread = ((seed * deaths + number) * GOLDEN) % 1.0
        power_loss = rng.random() < POWER_LOSS
        if number % 9 == DEFECT_AT and not rehearsal.plan.scenario.full_disks:
            # Not both at once: what a full disk has refused is in the session's memory, and goes with it.
            step = 1 + int(spread * first.steps)
            yield Plan(seed=seed, scenario=rehearsal.plan.scenario, defect=step)
            continue
        match number % 6:
            case 0 | 4:
                cut = Cut(at="step", number=1 + int(spread * first.steps), power_loss=power_loss)
            case 2:
                cut = Cut(at="effect", number=1 + int(spread * first.effects), power_loss=power_loss)
            case 3:
                cut = Cut(at="stop", number=int(1000 * spread * rehearsal.seconds))
            case _:
                site = sites[int(spread * len(sites))]
                occurrences = [at for at, each in enumerate(rehearsal.sites, 1) if each == site]
                cut = Cut(at="step", number=rng.choice(occurrences), power_loss=power_loss)
        cuts = [cut]
        if rng.random() < DIES_AGAIN:
            again = Cut(at="step", number=rng.randint(1, EARLY_STEPS), power_loss=rng.random() < POWER_LOSS)
            cuts.append(again)
        yield Plan(seed=seed, scenario=rehearsal.plan.scenario, cuts=tuple(cuts))
