"""``callboard completion SHELL``: what a shell may offer after ``callboard``, made from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

import msgspec

SHELLS: Final = ("bash", "zsh", "fish")

Path = tuple[str, ...]
"""The verbs typed so far: ``("config", "get")``."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What may follow some verbs."""

    about: str
    verbs: tuple[str, ...]
    words: tuple[str, ...]
    """The answers that its positional arguments take, where these are a few."""
    options: tuple[argparse.Action, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for action in self.options for flag in action.option_strings)


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """A script to be sourced by the shell."""
    places = dict(_places(parser))
    match shell:
        case "bash":
            return _bash(places)
        case "zsh":
            # zsh runs bash's completions well enough, and one script cannot disagree with the other.
            return f"autoload -Uz bashcompinit && bashcompinit\n{_bash(places)}"
        case _:
            return _fish(places)


def _places(parser: argparse.ArgumentParser, path: Path = (), about: str = "") -> Iterator[tuple[Path, Place]]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for verbs in below for choice in verbs._choices_actions}
    yield (
        path,
        Place(
            about=about,
            verbs=tuple(name for verbs in below for name in verbs.choices),
            words=tuple(
                str(choice)
                for action in shown
                if not action.option_strings and action not in below
                for choice in action.choices or ()
            ),
            options=tuple(action for action in shown if action.option_strings),
        ),
    )
    for verbs in below:
        for name, verb in verbs.choices.items():
            yield from _places(verb, (*path, name), helps.get(name, ""))


def _bash(places: dict[Path, Place]) -> str:
    known = "|".join(f'"{" ".join(path[:-1])}/{path[-1]}"' for path in places if path)
    cases = "\n".join(
        f'    "{" ".join(path)}") words="{" ".join((*place.verbs, *place.words))}"; flags="{" ".join(place.flags)}" ;;'
        for path, place in places.items()
    )
    return f"""\
_callboard() {{
  local path="" words="" flags="" word typed="${{COMP_WORDS[COMP_CWORD]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path/$word" in
      {known}) path="${{path:+$path }}$word" ;;
    esac
  done
  case "$path" in
{cases}
  esac
  case "$typed" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$typed")) ;;
    *) if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$typed"))
       else COMPREPLY=($(compgen -f -- "$typed")); fi ;;
  esac
}}
complete -F _callboard callboard
"""


def _fish(places: dict[Path, Place]) -> str:
    lines = ["complete -c callboard -f"]
    for path, place in places.items():
        here = _fish_at(path, place)
        begin = f"complete -c callboard -n {here}"
        lines += [f"{begin} -a {verb} -d {_quoted(places[*path, verb].about)}" for verb in place.verbs]
        lines += [f"{begin} -a {_quoted(word)}" for word in place.words]
        for action in place.options:
            flags = " ".join(
                f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                for option in action.option_strings
            )
            value = "" if action.nargs == 0 else " -r"
            lines.append(f"{begin} {flags}{value} -d {_quoted(action.help or '')}")
    return "\n".join(lines) + "\n"


def _fish_at(path: Path, place: Place) -> str:
    """When these verbs were typed, and none that may follow them."""
    if not path:
        return "__fish_use_subcommand"
    seen = [f"__fish_seen_subcommand_from {verb}" for verb in path]
    if place.verbs:
        seen.append(f"not __fish_seen_subcommand_from {' '.join(place.verbs)}")
    return _quoted("; and ".join(seen))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("%%", "%") + "'"
