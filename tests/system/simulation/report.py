"""Many trials, counted: what worker processes run and hand back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.system.simulation.plans import plans, scenario_of
from tests.system.simulation.trial import Cut, Outcome, Plan, rehearse, run


@dataclass
class Report:
    """What came of some trials, small enough to cross processes."""

    trials: int = 0
    lives: int = 0
    power_losses: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    """(plan as command-line options, law)"""
    digests: dict[str, str] = field(default_factory=dict)
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Each site with a seed and a step of its rehearsal at which it was seen."""
    deaths: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    """The functions in which a defect struck."""

    def take(self, outcome: Outcome, *, keep_digest: bool) -> None:
        """Add one trial."""
        plan = outcome.plan
        self.trials += 1
        self.lives += len(outcome.lives)
        self.power_losses += sum(cut.power_loss for cut in plan.cuts[: len(outcome.deaths)])
        self.deaths.update(outcome.deaths)
        self.struck.update([outcome.struck] if outcome.struck else [])
        self.broken += [(options(plan), words) for words in outcome.complaints]
        if keep_digest:
            self.digests[options(plan)] = outcome.digest

    def add(self, other: Report) -> None:
        """Add those of another process."""
        self.trials += other.trials
        self.lives += other.lives
        self.power_losses += other.power_losses
        self.broken += other.broken
        self.seen = {**other.seen, **self.seen}
        self.deaths.update(other.deaths)
        self.struck.update(other.struck)


def options(plan: Plan) -> str:
    """How to run a plan again."""
    cuts = (f"--cut {cut.at}:{cut.number}{':power' if cut.power_loss else ''}" for cut in plan.cuts)
    defect = () if plan.defect is None else (f"--defect {plan.defect}",)
    return " ".join((f"--seed {plan.seed}", *cuts, *defect))


def try_seed(seed: int, deaths: int) -> Report:
    """A rehearsal and its deaths."""
    report = Report()
    rehearsal = rehearse(seed, scenario_of(seed))
    report.take(rehearsal, keep_digest=True)
    report.seen = {site: (seed, step) for step, site in enumerate(rehearsal.sites, 1)}
    for number, plan in enumerate(plans(seed, rehearsal, deaths)):
        report.take(run(plan), keep_digest=number == seed % deaths)
    return report


def again(seed: int, deaths: int) -> dict[str, str]:
    """The same in another process; the digests of what is compared."""
    rehearsal = rehearse(seed, scenario_of(seed))
    plan = list(plans(seed, rehearsal, deaths))[seed % deaths]
    return {options(rehearsal.plan): rehearsal.digest, options(plan): run(plan).digest}


def sweep(seed: int, step: int) -> Report:
    """One death at a step."""
    report = Report()
    plan = Plan(seed=seed, scenario=scenario_of(seed), cuts=(Cut(at="step", number=step),))
    report.take(run(plan), keep_digest=False)
    return report
