"""request_user_input: the model asks people, and waits for as long as they take.

The question is the session's, like an approval: it is in the log, survives disconnects and restarts, goes to every
client that watches, and the first answer counts. So the worker only says what is to be asked; it is never run.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import trio

from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError
from messages.approval import Option, Question, QuestionNeed

QUESTIONS_MAX = 3
"""What people answer without losing patience, and what models are used to."""

OPTIONS_MAX = 8
"""One key each, on any client."""

TEXT_CHARS_MAX = 4_000
"""Of one text: a question is not a document."""


class OptionArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    label: Annotated[str, msgspec.Meta(description="One to five words.")]
    description: Annotated[str, msgspec.Meta(description="One sentence: what choosing it means.")]


class QuestionArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(description="A name for it; the answer comes back under it.")]
    header: Annotated[str, msgspec.Meta(description="What it is about, in a word or two.")]
    question: Annotated[str, msgspec.Meta(description="One sentence.")]
    options: Annotated[
        tuple[OptionArguments, ...],
        msgspec.Meta(description="Two or three that exclude each other; the user may also answer freely."),
    ]


class RequestUserInputArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    questions: Annotated[tuple[QuestionArguments, ...], msgspec.Meta(description="One to three.")]


class RequestUserInput(FunctionTool[RequestUserInputArguments]):
    """Semantics: reference/core CORE §1.5."""

    name = "request_user_input"
    description = "Ask the user one to three short questions and wait for the answers. Only for what they must decide."
    needs = ("questions",)

    def __init__(self) -> None:
        super().__init__(RequestUserInputArguments)

    async def prepare(self, job: Job) -> Prepared:
        need = _need(self.parse(job.call))

        async def run() -> Result:
            await trio.lowlevel.checkpoint()
            raise ToolError("request_user_input was run without anybody having been asked")

        await trio.lowlevel.checkpoint()
        return Prepared(item=None, run=run, parallel_safe=True, side_effects=False, approval=need)


def _need(arguments: RequestUserInputArguments) -> QuestionNeed:
    """Raises ToolError for what cannot be put to people."""
    asked = arguments.questions
    if not 1 <= len(asked) <= QUESTIONS_MAX:
        raise ToolError(f"questions must hold one to {QUESTIONS_MAX} questions, not {len(asked)}")
    if len({each.id for each in asked}) < len(asked):
        raise ToolError("each question needs an id of its own")
    for each in asked:
        if not 1 <= len(each.options) <= OPTIONS_MAX:
            raise ToolError(f"question {each.id!r} must offer one to {OPTIONS_MAX} options, not {len(each.options)}")
        options = (text for option in each.options for text in (option.label, option.description))
        texts = (each.id, each.header, each.question, *options)
        if any(len(text) > TEXT_CHARS_MAX for text in texts):
            raise ToolError(f"question {each.id!r} has a text of more than {TEXT_CHARS_MAX} characters")
        if not each.question.strip() or not all(option.label.strip() for option in each.options):
            raise ToolError(f"question {each.id!r} has an empty text")
    return QuestionNeed(
        questions=tuple(
            Question(
                id=each.id,
                header=each.header,
                question=each.question,
                options=tuple(Option(label=o.label, description=o.description) for o in each.options),
            )
            for each in asked
        )
    )
