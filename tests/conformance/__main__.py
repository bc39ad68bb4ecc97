"""Play the recorded conversations, run the flows of the real clients, and say how each went.

    python -m tests.conformance [NAME…] [--list]

A real client's flow that fails is run once more, and the report says so: a TUI under tmux on a busy machine has bad
days. A client that cannot be installed is reported, loudly, and is no failure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import trio

from tests.conformance import acp, replays, sdk, tui, tui_permissions
from tests.conformance.checking import Judgement
from tests.conformance.clients import UnavailableError, installed
from tests.conformance.stage import Flow, staged
from tests.reference import reference_root

FLOWS = (*tui.FLOWS, *tui_permissions.FLOWS, *sdk.FLOWS, *acp.FLOWS)

ARTIFACTS = Path("artifacts") / "conformance"

FLOW_SECONDS = 180.0
"""For the longest, several times over: what takes longer hangs."""

ATTEMPTS = 2


@dataclass
class Result:
    """How one flow went."""

    flow: str
    verdict: str
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    frames: int = 0


def main() -> int:
    """The exit code: 0 unless a flow failed or a recording differs."""
    options = _options()
    everything = replays.recordings()
    recorded = [each for each in everything if _is_meant(each.name, options.names)]
    chosen = [flow for flow in FLOWS if _is_meant(flow.name, options.names)]
    if options.list:
        for flow in chosen:
            print(f"{flow.name:40} {flow.what}")
        for transcript in recorded:
            print(f"{transcript.name:40} recorded: {len(transcript.lines)} frames")
        return 0
    if reference_root() is None:
        print("NOTE: the recorded schemas are not on this machine: frames are kept, and not checked")
    begun_at = time.monotonic()
    judged = replays.play(recorded, everything, ARTIFACTS / "replays")
    results = [_run_flow(flow) for flow in chosen]
    _report(judged, results, time.monotonic() - begun_at)
    failed = any(judgement.verdict == "differs" for judgement in judged)
    return 1 if failed or any(result.verdict == "failed" for result in results) else 0


def _is_meant(name: str, names: list[str]) -> bool:
    return not names or any(each in name for each in names)


def _report(judged: list[Judgement], results: list[Result], seconds: float) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    (ARTIFACTS / "flows.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    (ARTIFACTS / "replays.json").write_bytes(msgspec.json.format(msgspec.json.encode(judged)))
    for what, verdicts in (("replays", judged), ("flows", results)):
        counts = Counter(each.verdict for each in verdicts)
        print(f"{what}: " + (", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none"))
    declared = Counter[str]()
    for judgement in judged:
        declared += judgement.declared
    print(f"declared differences found: {len(declared)}; {seconds:.0f} s; see {ARTIFACTS}")
    for result in results:
        if result.verdict == "not run":
            print(f"WARNING  {result.flow} WAS NOT RUN: {'; '.join(result.problems)}")


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="tests.conformance", description="The real clients against the daemon.")
    parser.add_argument("names", nargs="*", help="only flows and recordings whose name has one of these in it")
    parser.add_argument("--list", action="store_true", help="say what there is")
    return parser.parse_args()


def _run_flow(flow: Flow) -> Result:
    try:
        client = installed(flow.client)
    except UnavailableError as error:
        print(f"NOT RUN  {flow.name}: {error}", flush=True)
        return Result(flow.name, "not run", problems=[str(error)])
    result = Result(flow.name, "failed")
    for attempt in range(1, ATTEMPTS + 1):
        begun_at = time.monotonic()
        problems, frames = _attempt(flow, client)
        verdict = "failed" if problems else ("passed" if attempt == 1 else "passed at the second attempt")
        result = Result(flow.name, verdict, round(time.monotonic() - begun_at, 1), problems, frames)
        print(f"{verdict:8} {flow.name} ({result.seconds} s, {frames} frames checked)", flush=True)
        for problem in problems:
            print(f"    {problem}", flush=True)
        if not problems:
            break
        if attempt < ATTEMPTS:
            print(f"RETRY    {flow.name}", flush=True)
    return result


def _attempt(flow: Flow, program: Path) -> tuple[list[str], int]:
    artifacts = ARTIFACTS / flow.name
    artifacts.mkdir(parents=True, exist_ok=True)
    for left in artifacts.iterdir():
        left.unlink()
    with tempfile.TemporaryDirectory(prefix="callboard-") as folder:
        return trio.run(_act, flow, program, Path(folder), artifacts.resolve())


async def _act(flow: Flow, program: Path, folder: Path, artifacts: Path) -> tuple[list[str], int]:
    problems: list[str] = []
    async with staged(program, folder, artifacts) as stage:
        try:
            with trio.fail_after(FLOW_SECONDS):
                await flow.run(stage)
        except Exception as error:  # whatever went wrong is this flow's verdict, not the run's end
            problems.append(f"{type(error).__name__}: {error}")
            (artifacts / "failure.txt").write_text(traceback.format_exc())
        problems += stage.recording.problems
        problems += stage.model.problems
        left = stage.tap.refused
        problems += [f"an upgrade was refused: {status}" for status in left]
    return problems, stage.recording.validated


if __name__ == "__main__":
    sys.exit(main())
