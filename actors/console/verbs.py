"""The verbs of a client: everything but `serve`."""

from __future__ import annotations

import argparse
import os
import sys

import trio

from actors.console import demo, ps, serving_flags
from actors.console import exec as execution
from actors.console import home as homes
from actors.console.client import NotReachableError, WireError, connect, leaves
from actors.console.screen import Screen
from actors.settings.layers import SettingsError


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Run the verb; the exit code. What the daemon refuses is said in one line."""
    try:
        return _run(parser, options)
    except BrokenPipeError:
        raise
    except (NotReachableError, WireError, SettingsError, OSError) as error:
        print(f"callboard: {error}", file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:
        if group.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        known, rest = group.split((NotReachableError, WireError, SettingsError, OSError))
        if known is None or rest is not None:
            raise
        if all(isinstance(leaf, BrokenPipeError) for leaf in leaves(known)):
            raise BrokenPipeError from None
        for leaf in leaves(known):
            print(f"callboard: {leaf}", file=sys.stderr)
        return 1


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    match options.verb:
        case None:
            return _welcome(parser)
        case "demo":
            return demo.start(_endpoint_flags(options), keep=options.keep)
        case "exec":
            return _exec(parser, options)
        case "ps":
            found = _running()
            trio.run(lambda: ps.show(found, homes.token(homes.home()), as_json=options.json))
            return 0
        case "attach":
            from actors.console import attach

            given = attach.AttachOptions(
                thread=options.thread,
                new=options.new,
                cwd=os.path.abspath(options.cd),
                settings=serving_flags.said(options),
            )
            return trio.run(attach.run, given)
        case "script":
            return _script(options)
        case "threads":
            from actors.console import threads

            flags = options.serve_flags
            return trio.run(
                lambda: threads.show(search=options.search, limit=options.limit, as_json=options.json, flags=flags)
            )
        case "approve":
            from actors.console import approve

            return trio.run(lambda: approve.run(options.question, options.decision, as_json=options.json))
        case "doctor":
            from actors.console import doctor

            return doctor.run(as_json=options.json)
        case "sandbox":
            from actors.console import sandbox

            command = tuple(options.command[1:] if options.command[:1] == ["--"] else options.command)
            if not command:
                parser.error("sandbox needs a command: callboard sandbox --mode workspace-write -- make test")
            return sandbox.run(
                sandbox.SandboxOptions(
                    mode=options.mode,
                    cwd=os.path.abspath(options.cd),
                    command=command,
                    writable=tuple(os.path.abspath(folder) for folder in options.writable),
                    network=options.network,
                )
            )
        case "undo":
            from actors.console import undo

            return trio.run(
                lambda: undo.run(options.thread, options.turn, as_json=options.json, flags=options.serve_flags)
            )
        case "tasks":
            from actors.console import tasks

            flags = options.serve_flags
            return trio.run(lambda: tasks.run(options.task, limit=options.limit, as_json=options.json, flags=flags))
        case "apply":
            from actors.console import tasks

            return trio.run(lambda: tasks.apply(options.task, os.path.abspath(options.cd), flags=options.serve_flags))
        case "hooks":
            from actors.console import hooks

            if options.hooks_verb == "list":
                return trio.run(lambda: hooks.show(as_json=options.json, flags=options.serve_flags))
            trusted = options.hooks_verb == "trust"
            flags = options.serve_flags
            return trio.run(lambda: hooks.trust(options.hook, everything=options.all, trusted=trusted, flags=flags))
        case "login" | "logout":
            from actors.console import login

            return trio.run(login.run, options)
        case "completion":
            from actors.console import completions

            print(completions.script(parser, options.shell), end="")
            return 0
        case _:
            return trio.run(_interrupt, options.thread)


def _exec(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    prompt = options.prompt
    if prompt in (None, "-"):
        if sys.stdin.isatty():
            parser.error('exec needs a prompt: callboard exec "fix the failing test"')
        prompt = sys.stdin.read()
    if not prompt.strip():
        print("callboard exec: the prompt is empty", file=sys.stderr)
        return execution.USAGE
    return execution.start(
        execution.ExecOptions(
            prompt=prompt,
            cwd=os.path.abspath(options.cd),
            json=options.json,
            model=options.model,
            approve_all=options.approve_all,
            thread=options.thread,
            connect=options.connect,
            serve_flags=tuple(_endpoint_flags(options)),
            settings=serving_flags.said(options),
        )
    )


def _script(options: argparse.Namespace) -> int:
    from actors.console import script

    given = script.RunOptions(
        source="",
        name="standard input" if options.file == script.STDIN else options.file,
        cwd=os.path.abspath(options.cd),
        mode="dry-run" if options.dry_run else "enabled",
        json=options.json,
        approve_all=options.approve_all,
        tools=tuple(options.tool),
        thread=options.thread,
        connect=options.connect,
        settings=serving_flags.said(options),
    )
    return script.start(options.file, given)


def _endpoint_flags(options: argparse.Namespace) -> list[str]:
    flags: list[str] = []
    if options.base_url is not None:
        flags += ["--base-url", options.base_url]
        if options.wire is not None:
            flags += ["--wire", options.wire]
        if options.model is not None:
            flags += ["--model", options.model]
    elif options.wire is not None:
        # Whoever names a wire and no endpoint wants to see that wire spoken: by the rehearsed model.
        provider = {"name": "the rehearsed model", "base_url": "", "wire_api": options.wire}
        settings = {"model_provider": "rehearsal", "model": options.model or "rehearsal"}
        settings |= {f"model_providers.rehearsal.{key}": value for key, value in provider.items()}
        flags += [flag for key, value in settings.items() for flag in ("-c", f'{key}="{value}"')]
    return flags


def _welcome(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    found = homes.running(homes.home())
    print()
    if found is None:
        print(f"No daemon runs in {homes.home()}. Start one with: callboard serve")
        return 0
    trio.run(lambda: _state(found))
    return 0


async def _state(found: homes.Running) -> None:
    async with connect(found.address, token=homes.token(homes.home())) as client:
        status = await client.request("callboard/status")
    Screen().print(ps.summary(found, status), highlight=False, soft_wrap=True)


async def _interrupt(thread: str | None) -> int:
    found = _running()
    async with connect(found.address, token=homes.token(homes.home())) as client:
        threads = [thread] if thread else (await client.request("thread/loaded/list"))["data"]
        interrupted = 0
        for thread_id in threads:
            view = await client.request("thread/read", {"threadId": thread_id, "includeTurns": True})
            for turn in view["thread"]["turns"]:
                if turn["status"] == "inProgress":
                    await client.request("turn/interrupt", {"threadId": thread_id, "turnId": turn["id"]})
                    print(f"interrupted turn {turn['id']} of thread {thread_id}")
                    interrupted += 1
    if not interrupted:
        print("no turn is running")
    return 0


def _running() -> homes.Running:
    found = homes.running(homes.home())
    if found is None:
        raise NotReachableError(f"No daemon runs in {homes.home()}. Start one with: callboard serve")
    return found
