"""Model servers on this machine, played by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
import pytest

from actors.model_stream.local import lmstudio, ollama, servers
from actors.model_stream.local.listing import ListedModel, ListingError, openai_models
from actors.model_stream.local.progress import Layer, Progress, PullError
from actors.model_stream.local.servers import LocalServer

OLLAMA = LocalServer(kind="ollama", url="http://127.0.0.1:11434", version=(0, 13, 4))
LM_STUDIO = LocalServer(kind="lmstudio", url="http://127.0.0.1:1234")

Answer = Callable[[httpx2.Request], httpx2.Response]


def client(answers: dict[str, Any]) -> httpx2.AsyncClient:
    """Answers by ``METHOD path``: JSON, bytes, a status, or a function of the request. What is not there is refused."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers.get(f"{request.method} {request.url.path}")
        match found:
            case None:
                raise httpx2.ConnectError("refused", request=request)
            case bytes():
                return httpx2.Response(200, content=found)
            case int():
                return httpx2.Response(found, json={"error": "no"})
            case dict() | list():
                return httpx2.Response(200, json=found)
            case _:
                made: httpx2.Response = found(request)
                return made

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


TAGS = {
    "models": [
        {
            "name": "qwen3:8b",
            "size": 5_200_000_000,
            "details": {"parameter_size": "8.2B", "quantization_level": "Q4_K_M"},
        },
        {"name": "old:latest", "details": {}},
    ]
}


def show(request: httpx2.Request) -> httpx2.Response:
    if msgspec.json.decode(request.content)["model"] == "old:latest":
        return httpx2.Response(404, json={"error": "gone"})
    return httpx2.Response(
        200,
        json={
            "capabilities": ["completion", "tools", "thinking"],
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
        },
    )


async def test_servers_that_answer_are_found_with_their_versions() -> None:
    answers = {"GET /api/version": {"version": "0.13.4"}, "GET /api/v1/models": {"models": []}}
    async with client(answers) as http:
        assert await servers.find(http) == (OLLAMA, LM_STUDIO)
    async with client({}) as http:
        assert await servers.find(http) == ()
    async with client(
        {"GET /api/version": b"<html>", "GET /api/v1/models": 404, "GET /v1/models": {"data": []}}
    ) as http:
        assert await servers.find(http) == (msgspec.structs.replace(LM_STUDIO, native=False),)


async def test_what_ollama_has_is_listed_with_what_it_can_do_and_names_alone_where_it_does_not_say() -> None:
    async with client({"GET /api/tags": TAGS, "POST /api/show": show}) as http:
        assert await servers.models(http, OLLAMA) == (
            ListedModel(
                id="qwen3:8b",
                context_window=40960,
                tools=True,
                images=False,
                reasoning=True,
                size_bytes=5_200_000_000,
                detail="8.2B Q4_K_M",
            ),
            ListedModel(id="old:latest"),
        )


async def test_what_lm_studio_has_is_listed_with_the_context_it_was_loaded_with() -> None:
    listed = {
        "models": [
            {"type": "embedding", "key": "nomic"},
            {
                "type": "llm",
                "key": "openai/gpt-oss-20b",
                "params_string": "20B",
                "quantization": {"name": "MXFP4", "bits_per_weight": 4},
                "size_bytes": 12_000_000_000,
                "max_context_length": 131072,
                "loaded_instances": [{"id": "x", "config": {"context_length": 4096}}],
                "capabilities": {"vision": False, "trained_for_tool_use": True},
            },
        ]
    }
    async with client({"GET /api/v1/models": listed}) as http:
        assert await servers.models(http, LM_STUDIO) == (
            ListedModel(
                id="openai/gpt-oss-20b",
                context_window=4096,
                tools=True,
                images=False,
                size_bytes=12_000_000_000,
                detail="20B MXFP4",
                loaded=True,
            ),
        )


def test_what_providers_add_to_their_lists_is_read() -> None:
    assert openai_models(
        {
            "data": [
                {"id": "gpt-x"},
                {
                    "id": "a/b",
                    "context_length": 200000,
                    "supported_parameters": ["tools", "reasoning"],
                    "architecture": {"input_modalities": ["text", "image"]},
                },
                {"id": "local", "max_model_len": 32768},
                {"id": "m", "max_context_length": 128000, "capabilities": {"function_calling": True, "vision": False}},
                {"id": "models/gemini-3", "context_window": True},
                "junk",
            ]
        }
    ) == (
        ListedModel(id="gpt-x"),
        ListedModel(id="a/b", context_window=200000, tools=True, images=True, reasoning=True),
        ListedModel(id="local", context_window=32768),
        ListedModel(id="m", context_window=128000, tools=True, images=False),
        ListedModel(id="gemini-3"),
    )
    with pytest.raises(ListingError):
        openai_models({"error": "no"})


async def test_a_provider_that_refuses_says_so_in_one_line() -> None:
    refused = httpx2.Response(401, json={"error": {"message": "bad key"}})
    async with client({"GET /v1/models": lambda _: refused}) as http:
        with pytest.raises(ListingError, match=r"answered HTTP 401: bad key"):
            await servers.provider_models(http, "https://api.example/v1", {"authorization": "Bearer k"}, {})


PULL = (
    b'{"status":"pulling manifest"}\n'
    b'{"status":"pulling aaa","digest":"sha256:aaa","total":100}\n'
    b'{"status":"pulling bbb","digest":"sha256:bbb","total":10,"completed":10}\n'
    b'{"status":"pulling aaa","digest":"sha256:aaa","total":100,"completed":60}\n'
    b'{"status":"pulling aaa","digest":"sha256:aaa","total":100,"completed":50}\n'
)


async def test_a_pull_is_told_layer_by_layer_and_never_runs_backwards() -> None:
    body = PULL + b'{"status":"verifying sha256 digest"}\n{"status":"success"}\n'
    async with client({"POST /api/pull": body}) as http:
        steps: list[Progress] = []
        await servers.pull(http, OLLAMA, "qwen3:8b", steps.append)
    assert [(step.status, step.completed, step.total) for step in steps] == [
        ("pulling manifest", 0, 0),
        ("pulling aaa", 0, 100),
        ("pulling bbb", 10, 110),
        ("pulling aaa", 70, 110),
        ("pulling aaa", 70, 110),
        ("verifying sha256 digest", 70, 110),
        ("success", 110, 110),
    ]
    assert steps[-1].done
    assert [layer.digest for layer in steps[-1].layers] == ["sha256:aaa", "sha256:bbb"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PULL + b'{"error":"pull model manifest: file does not exist"}\n', "file does not exist"),
        (PULL, "broke off .* goes on where it stopped"),
        (b"<html>", "no JSON"),
        (400, "no"),
    ],
)
async def test_a_pull_that_fails_under_a_good_status_or_breaks_off_is_an_error(body: Any, words: str) -> None:
    async with client({"POST /api/pull": body}) as http:
        with pytest.raises(PullError, match=words):
            await servers.pull(http, OLLAMA, "nothing", lambda _: None)


async def test_a_download_of_lm_studio_is_watched_to_its_end(autojump_clock: object) -> None:
    states = [
        {"status": "downloading", "total_size_bytes": 100, "downloaded_bytes": 40},
        {"status": "completed", "total_size_bytes": 100},
    ]
    answers = {
        "POST /api/v1/models/download": {"job_id": "job_1", "status": "downloading", "total_size_bytes": 100},
        "GET /api/v1/models/download/status/job_1": lambda _: httpx2.Response(200, json=states.pop(0)),
    }
    async with client(answers) as http:
        steps: list[Progress] = []
        await servers.pull(http, LM_STUDIO, "m", steps.append)
    assert steps == [
        Progress(status="downloading", layers=(Layer(digest="m", total=100, completed=0),)),
        Progress(status="downloading", layers=(Layer(digest="m", total=100, completed=40),)),
        Progress(status="completed", layers=(Layer(digest="m", total=100, completed=100),), done=True),
    ]


async def test_what_lm_studio_cannot_do_is_said_with_what_to_do_instead() -> None:
    async with client({"POST /api/v1/models/download": 404}) as http:
        with pytest.raises(PullError, match="404"):
            await servers.pull(http, LM_STUDIO, "m", lambda _: None)
        with pytest.raises(PullError, match=r"older than 0\.4\.0.*lms get m"):
            await servers.pull(http, msgspec.structs.replace(LM_STUDIO, native=False), "m", lambda _: None)
    with pytest.raises(PullError, match="disk full"):
        lmstudio.progress("m", {"status": "failed", "error": {"message": "disk full"}})
    assert lmstudio.progress("m", {"status": "already_downloaded"}).done


def test_versions_are_compared_as_numbers_and_old_ones_get_advice() -> None:
    assert ollama.version({"version": "0.13.4-rc1"}) == (0, 13, 4)
    assert ollama.version({"version": "v1.2"}) == (1, 2, 0)
    assert ollama.advice((0, 0, 0), "responses") is None
    assert ollama.advice((0, 13, 10), "responses") is None
    advice = ollama.advice((0, 12, 0), "responses")
    assert advice is not None
    assert "0.13.4" in advice
    assert 'wire_api = "chat"' in advice
    with pytest.raises(ListingError):
        ollama.version({"message": "hello"})
