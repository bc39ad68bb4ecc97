"""``callboard attach THREAD``: watch a thread and talk to it, beside whoever else does.

What is finished scrolls away as in `exec`; below it live what is under way, the oldest open question, and the line that
is typed. Everything that is shown comes from the daemon, also what we ourselves said: so all who watch see the same.
Without a terminal it only watches, and prints each thing when it is finished.

When the daemon goes away we wait for it, say so, and go on behind the last event we saw: nothing is shown twice and
nothing is missed. What was typed meanwhile is sent then, under an id that makes it safe to send again.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import trio
from rich.console import Console, Group, RenderableType
from rich.text import Text

from actors.console import home as homes
from actors.console.borrowed import attached, attached_again
from actors.console.choices import Choice
from actors.console.client import Client, Incoming, NotReachableError, WireError
from actors.console.keys import Key, Keyboard, LineEditor, Named
from actors.console.questions import Pending, ask_above, below, drawn, is_approval, subject
from actors.console.screen import Screen
from actors.console.stage import Stage, finished, headline, staged
from actors.console.thread_settings import ThreadFlags
from actors.console.threads import resolve
from actors.console.user_input import SKIP, Answering, asks_user
from actors.console.waiting import Wait

OK, FAILED, INTERRUPTED = 0, 1, 130

NAME = "callboard-attach"

SHOWN_TURNS = 3
"""Of what was said before we came: enough to know where one is."""

AGAIN_SECONDS = 2.0
"""Ctrl-C twice within this leaves."""

NOT_HERE = {"code": -32601, "message": "a person at a terminal cannot answer this"}

HINTS = "Enter sends · !command runs · /cancel ends the last call · Ctrl-C interrupts · Ctrl-D leaves"


class AttachOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said."""

    thread: str | None
    new: bool = False
    cwd: str = "."
    settings: ThreadFlags = ThreadFlags()
    """Of a new thread."""


class Attached:
    """One person at one thread."""

    def __init__(self, client: Client, thread_id: str, console: Console) -> None:
        self._client = client
        self._thread_id = thread_id
        self._editor = LineEditor()
        self._pending = Pending()
        self._turn: str | None = None
        self._status = "idle"
        self._typing = False
        self._interrupted_at = -math.inf
        self._asking: list[Answering] = []
        """The model's questions, oldest first."""
        self._nursery: trio.Nursery | None = None
        self._place: dict[str, Any] = {}
        """The last event seen, for `thread/resume`."""
        self._seen: set[str] = set()
        """Items that have been shown finished."""
        self._wait: Wait | None = None
        """There is no connection."""
        self._unsent: list[tuple[str, str]] = []
        """Lines that no daemon has taken yet, with the ids they are sent under."""
        self._console = console
        self.stage = Stage(console)
        """The one that is drawn on while `run` runs."""
        self.code = OK

    async def run(self, opened: dict[str, Any], signals: AsyncIterator[int], *, interactive: bool) -> int:
        """Until the person leaves or the thread is closed; the exit code."""
        self._typing = interactive
        async with staged(self._console, self._footer) as self.stage:
            self._show_before(opened["thread"])
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._listen, signals, nursery.cancel_scope)
                if interactive:
                    nursery.start_soon(self._type, nursery.cancel_scope)
                await self._stay(opened)
                nursery.cancel_scope.cancel()
        return self.code

    # --- staying connected ------------------------------------------------------------------------------------------

    async def _stay(self, opened: dict[str, Any]) -> None:
        """Follow the thread from one connection to the next, until it is closed."""
        self._place = {"epoch": opened["callboard"]["epoch"], "afterSeq": opened["callboard"]["seq"]}
        while await self._follow():
            self._wait = Wait("the daemon is gone; waiting for it")
            self.stage.say(Text("the connection is lost", style="yellow"))
            try:
                async with attached_again(homes.home(), NAME) as self._client:
                    await self._take_up()
                    if not await self._follow():
                        return
            except NotReachableError as error:  # it has gone again at once
                self.stage.say(Text(f"! {error}", style="dim"))

    async def _take_up(self) -> None:
        """Go on behind what we saw last, or show what came since."""
        request = {"threadId": self._thread_id, "callboard": self._place}
        opened: dict[str, Any] = await self._client.request("thread/resume", request)
        self._wait = None
        self._pending = Pending()  # what is still open is asked again, right behind this answer
        self._asking.clear()
        self.stage.say(Text("connected again", style="dim"))
        standing = opened["callboard"]
        if standing["resumed"]:
            self.stage.forget_texts()
        else:
            self.stage.forget()
            self._place = {"epoch": standing["epoch"], "afterSeq": standing["seq"]}
            self._show_missed(opened["thread"])
        unsent, self._unsent = self._unsent, []
        assert self._nursery is not None
        for line, client_id in unsent:
            self._nursery.start_soon(self._say, line, client_id)

    def _show_missed(self, thread: dict[str, Any]) -> None:
        before, self._turn = self._turn, None
        for turn in thread["turns"]:
            running = turn["status"] == "inProgress"
            for item in turn["items"]:
                self._show_item(item, under_way=running)
            if running:
                self._turn = turn["id"]
            elif turn["id"] == before:
                self._end_turn(turn)
        self._status = thread["status"]["type"]

    def _show_item(self, item: dict[str, Any], *, under_way: bool) -> None:
        if under_way and not item.get("completedAtMs"):
            self.stage.begin(item)
        elif item["id"] not in self._seen:
            self._seen.add(item["id"])
            shown = finished(item, (item.get("durationMs") or 0) / 1000)
            if shown is not None:
                self.stage.say(shown)

    # --- what the daemon says ---------------------------------------------------------------------------------------

    def _show_before(self, thread: dict[str, Any]) -> None:
        turns = thread["turns"]
        if len(turns) > SHOWN_TURNS:
            self.stage.say(Text(f"… {len(turns) - SHOWN_TURNS} turns before", style="dim"))
            self._seen.update(item["id"] for turn in turns[:-SHOWN_TURNS] for item in turn["items"])
        for turn in turns[-SHOWN_TURNS:]:
            running = turn["status"] == "inProgress"
            for item in turn["items"]:
                self._show_item(item, under_way=running)
            if running:
                self._turn = turn["id"]
        self._status = thread["status"]["type"]

    async def _follow(self) -> bool:
        """Show what comes. True: the connection has ended, and the thread goes on."""
        async for message in self._client.incoming():
            params = message.params
            if params.get("threadId", self._thread_id) != self._thread_id:
                continue
            if message.epoch is not None and message.seq is not None:
                self._place = {"epoch": message.epoch, "afterSeq": message.seq}
            if message.id is not None:
                await self._asked(message)
                continue
            match message.method:
                case "turn/started":
                    self._turn = params["turn"]["id"]
                case "turn/completed":
                    self._turn = None
                    self._end_turn(params["turn"])
                case "thread/status/changed":
                    self._status = params["status"]["type"]
                case "item/completed":
                    self._seen.add(params["item"]["id"])
                case "serverRequest/resolved":
                    self._resolved(params["requestId"])
                case "thread/closed":
                    self.stage.say(Text("the thread was unloaded", style="dim"))
                    return False
                case _:
                    pass
            self.stage.show(message)
        return True

    async def _asked(self, message: Incoming) -> None:
        assert message.id is not None
        if asks_user(message):
            if self._typing:
                self._asking.append(Answering(message))
                self.stage.refresh()
            else:
                self.stage.say(Answering(message).drawn(how=""))
        elif not is_approval(message):
            await self._client.refuse(message.id, NOT_HERE)
        elif self._typing:
            self._pending.ask(message, trio.current_time())
            ask_above(self.stage, message)
            self.stage.refresh()
        else:
            self.stage.say(drawn(message, self.stage.item(message.params["itemId"]), keys=False))

    def _resolved(self, request_id: str | int) -> None:
        for answering in self._asking:
            if answering.message.id == request_id:
                self._asking.remove(answering)
                self.stage.say(Text(f"· {answering.summary()}: answered elsewhere, or withdrawn", style="dim"))
                return
        question = self._pending.drop(request_id, trio.current_time())
        if question is not None:
            self.stage.say(Text(f"· {subject(question, None)}: answered elsewhere, or withdrawn", style="dim"))

    def _end_turn(self, turn: dict[str, Any]) -> None:
        if turn["status"] == "interrupted":
            self.stage.say(Text("interrupted", style="yellow"))
        elif turn.get("error"):
            self.stage.say(Text(f"{turn['status']}: {turn['error']['message']}", style="bold red"))

    # --- what the person does ---------------------------------------------------------------------------------------

    async def _type(self, scope: trio.CancelScope) -> None:
        with Keyboard() as keyboard:
            while pressed := await keyboard.read():
                for key in pressed:
                    if await self._press(key):
                        scope.cancel()
                        return
                self.stage.refresh()
        scope.cancel()

    async def _press(self, key: Key) -> bool:
        """True: the person leaves."""
        busy = bool(self._editor.text) or self._wait is not None  # nobody could be told
        answered = None if busy else self._pending.answered_by(key, trio.current_time())
        if answered is not None:
            await self._decide(*answered)
            return False
        if key is Named.END_OF_INPUT and not self._editor.text:
            return True
        line = self._editor.press(key)
        if line is None or not line.strip():
            return False
        if line.strip() in ("/quit", "/exit"):
            return True
        assert self._nursery is not None
        if line.strip() == "/cancel":
            self._nursery.start_soon(self._cancel_call)
            return False
        if self._asking and self._wait is not None:
            self.stage.say(Text("! not connected; the question is asked again when the daemon is back", style="yellow"))
            return False
        if self._asking and not line.startswith("!"):
            await self._tell(self._asking[0], line)
            return False
        self._nursery.start_soon(self._say, line.strip(), str(uuid.uuid4()))
        return False

    async def _tell(self, answering: Answering, line: str) -> None:
        result = answering.take(line)
        if result is not None and answering.message.id is not None:
            self._asking.remove(answering)
            self.stage.say(Text(f"· {answering.summary()}", style="dim"))
            with contextlib.suppress(NotReachableError):  # it is asked again when the daemon is back
                await self._client.answer(answering.message.id, result)

    async def _decide(self, question: Incoming, choice: Choice) -> None:
        assert question.id is not None
        self._pending.drop(question.id, trio.current_time())
        shown = subject(question, self.stage.item(question.params["itemId"]))
        self.stage.say(Text(f"· {shown}: {choice.said}", style="dim"))
        with contextlib.suppress(NotReachableError):  # it is asked again when the daemon is back
            await self._client.answer(question.id, {"decision": choice.decision})

    async def _cancel_call(self) -> None:
        """End the call that began last; what runs beside it goes on."""
        call = self.stage.last_call()
        if call is None:
            self.stage.say(Text("! no call runs", style="yellow"))
            return
        try:
            await self._client.request("callboard/toolCall/cancel", {"threadId": self._thread_id, "callId": call["id"]})
            self.stage.say(Text(f"· cancelled: {headline(call).plain}", style="dim"))
        except WireError as error:  # it ended meanwhile
            self.stage.say(Text(f"! {error.reason}", style="yellow"))
        except NotReachableError as error:
            self.stage.say(Text(f"! {error}", style="yellow"))

    async def _say(self, line: str, client_id: str) -> None:
        """``client_id``: the same line under the same id is taken once."""
        thread = {"threadId": self._thread_id}
        if self._wait is not None:
            self._keep(line, client_id)
            return
        try:
            if line.startswith("!"):
                await self._client.request("thread/shellCommand", {**thread, "command": line[1:].strip()})
                return
            given = {"input": [{"type": "text", "text": line}], "clientUserMessageId": client_id}
            steered = self._turn
            accepted = await self._client.request("turn/start", {**thread, **given})
            if steered is not None and accepted["turn"]["id"] == steered:
                # It is shown where it enters, which may be a long call away.
                self.stage.say(Text(f"· the running turn will get: {line}", style="dim"))
        except WireError as error:
            self.stage.say(Text(f"! {error.reason}", style="bold red"))
        except NotReachableError:
            self._keep(line, client_id)

    def _keep(self, line: str, client_id: str) -> None:
        if line.startswith("!"):
            # A command has no id that would keep it from being run twice.
            self.stage.say(Text(f"! not connected; whether this was run is not known: {line}", style="bold red"))
            return
        self._unsent.append((line, client_id))
        self.stage.say(Text(f"· kept until the daemon is back: {line}", style="dim"))

    async def _listen(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        """Ctrl-C interrupts the turn; without one, or twice within two seconds, it leaves."""
        async for number in signals:
            again = trio.current_time() - self._interrupted_at < AGAIN_SECONDS
            alone = self._turn is None or self._wait is not None
            if number == signal.SIGTERM or alone or again or not self._typing:
                self.code = INTERRUPTED
                scope.cancel()
                return
            self._interrupted_at = trio.current_time()
            try:
                await self._client.request("turn/interrupt", {"threadId": self._thread_id, "turnId": self._turn})
            except WireError as error:  # it ended meanwhile
                self.stage.say(Text(f"! {error.reason}", style="yellow"))
            except NotReachableError as error:
                self.stage.say(Text(f"! {error}", style="yellow"))

    # --- drawing ----------------------------------------------------------------------------------------------------

    def _footer(self) -> RenderableType | None:
        if not self._typing:
            return None if self._wait is None else self._wait.drawn()
        rows: list[RenderableType] = []
        question = self._pending.first
        if question is not None:
            busy = bool(self._editor.text) or self._wait is not None
            seen = self._pending.takes_keys(trio.current_time()) and not busy
            rows.append(below(self.stage, question, keys=seen))
            if len(self._pending) > 1:
                rows.append(Text(f"  ({len(self._pending) - 1} more questions wait)", style="dim"))
        elif self._asking:
            rows.append(self._asking[0].drawn(how=f"a number, or your own words; {SKIP}: no answer"))
        rows.append(_typed(self._editor))
        if self._wait is not None:
            rows.append(self._wait.drawn())
        state = "working" if self._turn is not None else self._status
        rows.append(Text(f"{state} · {HINTS}", style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)


def _typed(editor: LineEditor) -> Text:
    text = editor.text.replace("\n", "⏎").replace("\t", " ")
    at = editor.cursor
    return Text.assemble(("› ", "bold green"), text[:at], (text[at : at + 1] or " ", "reverse"), text[at + 1 :])


async def run(options: AttachOptions) -> int:
    """Attach; the exit code."""
    console = Screen()
    interactive = console.is_terminal and sys.stdin.isatty()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        config = options.settings.config(homes.home()) if options.new else {}
        # A new thread takes its settings along; nobody needs to hear that the daemon has others.
        flags = () if options.new and homes.running(homes.home()) is not None else options.settings.flags
        async with attached(homes.home(), NAME, flags=flags) as client:
            opened = await _open(client, options, config)
            thread = opened["thread"]
            title = thread.get("name") or thread["preview"] or "a new thread"
            where = f"{thread['id']}  {opened['model']} in {opened['cwd']}"
            console.print(Text.assemble((title, "bold"), (f"  {where}", "dim")), soft_wrap=True)
            here = Attached(client, thread["id"], console)
            return await here.run(opened, signals, interactive=interactive)


async def _open(client: Client, options: AttachOptions, config: dict[str, Any]) -> dict[str, Any]:
    if options.new:
        params = {"cwd": options.cwd, **({"config": config} if config else {})}
        started: dict[str, Any] = await client.request("thread/start", params)
        return started
    thread_id = await resolve(client, options.thread)
    resumed: dict[str, Any] = await client.request("thread/resume", {"threadId": thread_id})
    return resumed
