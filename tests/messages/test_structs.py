"""Every message survives both codecs whole, is frozen, and is strict or lenient as its side demands."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import messages
from messages.client.item import Wire
from messages.credentials import SecretValue
from messages.settings import ListenSettings, ProviderSettings, Settings


def all_structs() -> Iterator[type[msgspec.Struct]]:
    for module in pkgutil.walk_packages(messages.__path__, "messages."):
        for value in vars(importlib.import_module(module.name)).values():
            is_struct = isinstance(value, type) and issubclass(value, msgspec.Struct)
            if is_struct and value.__module__ == module.name:
                yield value


STRUCTS = sorted(set(all_structs()), key=lambda struct: f"{struct.__module__}.{struct.__qualname__}")


def sample(node: inspect.Type, depth: int = 0) -> Any:
    """A value of a type with something in every place, as far as nesting goes."""
    match node:
        case inspect.NoneType():
            return None
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 7
        case inspect.FloatType():
            return 0.5
        case inspect.StrType():
            return "tëxt"
        case inspect.BytesType():
            return b"\x00bytes"
        case inspect.AnyType():
            return {"any": [1, None]}
        case inspect.RawType():
            return msgspec.Raw(b'{"raw":1}')
        case inspect.LiteralType():
            return node.values[-1]
        case inspect.VarTupleType():
            return () if depth > 4 else (sample(node.item_type, depth + 1),)
        case inspect.TupleType():
            return tuple(sample(each, depth + 1) for each in node.item_types)
        case inspect.FrozenSetType():
            return frozenset({sample(node.item_type, depth + 1)})
        case inspect.ListType():
            return [sample(node.item_type, depth + 1)]
        case inspect.DictType():
            return {} if depth > 4 else {"key": sample(node.value_type, depth + 1)}
        case inspect.UnionType():
            return sample(node.types[0] if not isinstance(node.types[0], inspect.NoneType) else node.types[1], depth)
        case inspect.StructType():
            return node.cls(**{field.name: sample(field.type, depth + 1) for field in node.fields})
        case inspect.Metadata():
            return sample(node.type, depth)
        case inspect.CustomType() if node.cls is SecretValue:
            return SecretValue("s3cret")
        case inspect.CustomType() if node.cls is msgspec.UnsetType:
            return msgspec.UNSET
        case _:
            raise AssertionError(f"no sample for {node}")


def has_raw(struct: type[msgspec.Struct]) -> bool:
    return "Raw" in repr(inspect.type_info(struct))


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: f"{struct.__module__}.{struct.__qualname__}")
def test_a_struct_survives_both_codecs_and_is_frozen(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.frozen
    value = sample(inspect.type_info(struct))
    if "SecretValue" in repr(inspect.type_info(struct)):
        assert "s3cret" not in repr(value)
        with pytest.raises(TypeError, match="unsupported"):
            msgspec.json.encode(value)
        return
    assert msgspec.json.decode(msgspec.json.encode(value), type=struct) == value
    if not has_raw(struct):  # raw JSON has no meaning inside msgpack
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=struct) == value


@pytest.mark.parametrize(
    "struct", [struct for struct in STRUCTS if issubclass(struct, Wire)], ids=lambda struct: struct.__qualname__
)
def test_unknown_fields_of_a_client_are_ignored(struct: type[msgspec.Struct]) -> None:
    value = sample(inspect.type_info(struct))
    encoded = msgspec.json.encode(value)
    assert encoded.endswith(b"}")
    more = encoded[:-1] + (b"," if len(encoded) > 2 else b"") + b'"aFieldOfTheFuture":{"x":[1]}}'
    assert msgspec.json.decode(more, type=struct) == value


@pytest.mark.parametrize("struct", [Settings, ListenSettings, ProviderSettings])
def test_unknown_fields_from_our_own_side_are_refused(struct: type[msgspec.Struct]) -> None:
    value = msgspec.to_builtins(sample(inspect.type_info(struct)))
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**value, "surprise": 1}, struct)
