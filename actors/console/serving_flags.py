"""The flags that say something about settings, of every verb that may start a daemon.

They can stand before the verb or behind it. A daemon that is started for the verb is started with them; one that runs
has settings of its own.
"""

from __future__ import annotations

import argparse
from typing import Any

from actors.console.thread_settings import ThreadFlags
from messages.settings import Features

CONFIG_HELP = "set one setting, e.g. -c approval_policy=never"
PROFILE_HELP = "with NAME.config.toml of the home above config.toml"


def add(parser: argparse.ArgumentParser, suffix: str = "") -> None:
    """``suffix``: of the flags before the verb, which the help leaves out."""

    def told(text: str) -> str:
        return argparse.SUPPRESS if suffix else text

    parser.add_argument(
        "-c", "--config", action="append", dest=f"config{suffix}", metavar="KEY=VALUE", help=told(CONFIG_HELP)
    )
    parser.add_argument("-p", "--profile", dest=f"profile{suffix}", metavar="NAME", help=told(PROFILE_HELP))
    for name, text in (("enable", "switch a feature on"), ("disable", "or off")):
        parser.add_argument(f"--{name}", action="append", dest=f"{name}{suffix}", metavar="FEATURE", help=told(text))
    strict = "settings that nobody knows are errors"
    parser.add_argument("--strict-config", action="store_true", dest=f"strict{suffix}", help=told(strict))


def overrides(options: argparse.Namespace) -> tuple[str, ...]:
    """All of ``-c KEY=VALUE``, and what switches features."""
    flags = []
    for verb, value in (("enable", "true"), ("disable", "false")):
        # Clients of the original switch features of its own: those say nothing to us.
        flags += [f"features.{name}={value}" for name in _both(options, verb) if name in Features.__struct_fields__]
    return (*_both(options, "config"), *flags)


def profile(options: argparse.Namespace) -> str | None:
    """The one behind the verb, else the one before it."""
    named: str | None = getattr(options, "profile", None) or options.profile_before
    return named


def strict(options: argparse.Namespace) -> bool:
    """Said before the verb or behind it."""
    return bool(options.strict_before or getattr(options, "strict", False))


def said(options: argparse.Namespace) -> ThreadFlags:
    """All of it."""
    return ThreadFlags(overrides=overrides(options), profile=profile(options), strict=strict(options))


def _both(options: argparse.Namespace, name: str) -> list[Any]:
    return [*(getattr(options, f"{name}_before") or ()), *(getattr(options, name, None) or ())]
