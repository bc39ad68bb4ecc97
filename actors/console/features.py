"""``callboard features``: the switches, how ready each is, and what it does. Works on the files, as `config` does."""

from __future__ import annotations

import argparse
import difflib
import sys
import textwrap

import msgspec

from actors.console import config
from actors.settings.reference import field_texts
from messages.settings import Features, SettingsEdit
from messages.settings.features import stage_of

OK, FAILED = 0, 1

WIDTH, INDENT = 78, "    "
"""Of what a switch does, below it: for people; a program reads JSON."""


def run(options: argparse.Namespace) -> int:
    """The exit code."""
    return config.telling(_act, options)


def _act(options: argparse.Namespace) -> int:
    if options.action in (None, "list"):
        return _list(options)
    unknown = [name for name in options.feature if name not in Features.__struct_fields__]
    for name in unknown:
        near = difflib.get_close_matches(name, Features.__struct_fields__, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see: callboard features"
        print(f"callboard features: there is no feature {name}{hint}", file=sys.stderr)
    if unknown:
        return FAILED
    on = options.action == "enable"
    return config.write(options, tuple(SettingsEdit(key_path=f"features.{name}", value=on) for name in options.feature))


def _list(options: argparse.Namespace) -> int:
    snapshot = config.settings(options)
    found = [
        {
            "name": name,
            "stage": stage_of(name),
            "enabled": getattr(snapshot.settings.features, name),
            "from": None if (origin := snapshot.origins.get(f"features.{name}")) is None else origin.where,
            "description": field_texts(Features)[name].replace("`", ""),
        }
        for name in Features.__struct_fields__
    ]
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return OK
    widths = [max(len(str(each[column])) for each in found) for column in ("name", "stage")]
    for each in found:
        name, stage = str(each["name"]).ljust(widths[0]), str(each["stage"]).ljust(widths[1])
        state = "on " if each["enabled"] else "off"
        print("  ".join((name, state, stage, str(each["from"] or "default"))))
        print(textwrap.fill(str(each["description"]), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT))
    return OK
