"""web_search: the provider searches the web while it answers. No call of it ever reaches us; people see what it did."""

from __future__ import annotations

from actors.tool_worker.tool import Job, Prepared, ToolError
from messages.model import ToolSpec


class WebSearch:
    """Offered in each wire's own form (CORE §1.5); Chat Completions has none, so there it is not offered."""

    spec = ToolSpec(
        name="web_search",
        description="Search the web for what you do not know or what may have changed. Name your sources.",
        hosted="web_search",
        needs=("web_search",),
    )

    async def prepare(self, job: Job) -> Prepared:
        raise ToolError(f"unsupported call: {job.call.name}")
