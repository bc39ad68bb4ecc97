"""``{{name}}`` in a scene's words: what stands there for this prompt.

    {{user}} {{cwd}} {{model}} {{scene}}    of the prompt and the scene
    {{1}} {{2}} …                           groups of the scene's ``user`` regex
    {{NAME}}                                what the step's ``let`` found
    {{each}}                                the line at hand, in a call made for each
    {{example}}                             the smallest JSON that follows the requested schema
    {{NAME|json}} {{NAME|title}}            as a JSON string; as its first few words

A name nobody knows is an error that says where it stands.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from actors.rehearsal.prompt import Prompt
from actors.rehearsal.script import Let, Scene, SceneError

TITLE_WORDS = 6

MAX_SCHEMA_DEPTH = 8
"""Of an example: deeper schemas repeat themselves."""

_PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*(?:\|\s*([a-z]+)\s*)?\}\}")


class Names:
    """What the names of one step mean."""

    def __init__(self, scene: Scene, prompt: Prompt, groups: tuple[str, ...], lets: dict[str, Let]) -> None:
        self._scene = scene
        self._values: dict[str, str] = {
            "user": prompt.user,
            "cwd": prompt.cwd,
            "model": prompt.model,
            "scene": scene.name,
            "example": msgspec.json.encode(example(prompt.schema or {})).decode(),
            **{str(number): group for number, group in enumerate(groups, 1)},
        }
        for name, let in lets.items():
            self._values[name] = self._found(name, let, prompt)

    def fill(self, text: str, **more: str) -> str:
        """``text`` with every place filled. Raises SceneError."""

        def value(place: re.Match[str]) -> str:
            name, style = place.groups()
            found = more.get(name, self._values.get(name))
            if found is None:
                raise SceneError(f"scene {self._scene.name!r}: nothing is called {{{{{name}}}}} here")
            match style:
                case None:
                    return found
                case "json":
                    return msgspec.json.encode(found).decode()
                case "title":
                    return " ".join(found.split()[:TITLE_WORDS]).rstrip(".,;:!?") or "Untitled"
                case _:
                    raise SceneError(f"scene {self._scene.name!r}: {{{{{name}|{style}}}}}: there are json and title")

        return _PLACE.sub(value, text)

    def fill_in(self, value: Any, **more: str) -> Any:
        """Every string inside a JSON value filled."""
        match value:
            case str():
                return self.fill(value, **more)
            case dict():
                return {key: self.fill_in(inner, **more) for key, inner in value.items()}
            case list():
                return [self.fill_in(inner, **more) for inner in value]
            case _:
                return value

    def lines(self, name: str) -> list[str]:
        """The lines of a value, without empty and repeated ones. Raises SceneError."""
        return list(dict.fromkeys(line for line in self.fill(f"{{{{{name}}}}}").splitlines() if line.strip()))

    def _found(self, name: str, let: Let, prompt: Prompt) -> str:
        if let.of == "outputs":
            source = "\n".join(call.output for call in prompt.answered)
        elif let.of.startswith("output:"):
            tool = let.of.removeprefix("output:")
            source = "\n".join(call.output for call in prompt.answered if call.tool == tool)
        elif let.of in self._values:
            source = self._values[let.of]
        else:
            raise SceneError(f"scene {self._scene.name!r}: {name!r} is taken from {let.of!r}, which nothing is called")
        if let.replace is not None:
            return re.sub(let.match, let.replace, source)
        matches = [match[1] if match.re.groups else match[0] for match in re.finditer(let.match, source)]
        if matches:
            return "\n".join(matches)
        if let.default is not None:
            return let.default
        raise SceneError(f"scene {self._scene.name!r}: {name!r}: nothing in {let.of} matches {let.match!r}")


def example(schema: dict[str, Any], depth: int = 0) -> Any:
    """The smallest value that follows a JSON schema, as far as it is one of the usual kind."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return example(schema[union][0], depth + 1) if depth < MAX_SCHEMA_DEPTH else None
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object" if depth < MAX_SCHEMA_DEPTH:
            properties = schema.get("properties", {})
            return {name: example(properties.get(name, {}), depth + 1) for name in schema.get("required", properties)}
        case "array":
            return [example(schema.get("items", {}), depth + 1)] if schema.get("minItems") else []
        case "string":
            return "rehearsed"
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return None
