"""update_plan: the steps of the work, for people to see. Changes nothing else."""

from __future__ import annotations

from typing import Literal

import msgspec
import trio

from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result
from messages.client.item import PlanStep


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    step: str
    status: Literal["pending", "in_progress", "completed"]


class UpdatePlanArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plan: tuple[Step, ...]
    explanation: str | None = None


class UpdatePlan(FunctionTool[UpdatePlanArguments]):
    """Semantics: reference/core CORE, appendix A."""

    name = "update_plan"
    description = (
        "Show the user the steps of your work and where you are. Give the whole list each time, "
        "with at most one step in_progress."
    )

    needs = ("default_mode",)

    def __init__(self) -> None:
        super().__init__(UpdatePlanArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)

        async def run() -> Result:
            await trio.lowlevel.checkpoint()
            plan = tuple(
                PlanStep(step=each.step, status="inProgress" if each.status == "in_progress" else each.status)
                for each in arguments.plan
            )
            return Result(output="Plan updated", plan=plan, plan_explanation=arguments.explanation)

        return Prepared(item=None, run=run, parallel_safe=True, side_effects=False)
