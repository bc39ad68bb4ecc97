"""S3 to S7, S18, S19: attacks on time, memory and what is left behind."""

from __future__ import annotations

import signal
from typing import Any

from actors.sandbox_pool.inside.confinement import ADDRESS_SPACE_BYTES
from actors.sandbox_pool.limits import CALLS_MAX, CONSOLE_BYTES, CONSOLE_LINES, PROGRESS_EVENTS, TIMERS_MAX
from tests.actors.sandbox_pool.security.jail import Jail, alone, bare
from tests.actors.sandbox_pool.security.registry import case
from tests.actors.sandbox_pool.stage import limited

BY_LIMIT = ("exceeded", "threw", "deadlocked")

LOOPS = {
    "catch and finally": "for (;;) { try { throw 1 } catch { continue } finally { continue } }",
    "a generator that will not return": "function* g() { try { yield 1 } finally { for (;;); } }\nfor (const x of g()) break",
    "an async generator that will not return": "async function* g() { try { yield 1 } finally { for (;;) await 0 } }\nfor await (const x of g()) break",
    "async from sync": "for await (const x of { *[Symbol.iterator]() { for (;;) yield Promise.resolve() } });",
    "a recursive microtask": "const f = async (): Promise<void> => { await null; return f() }; await f()",
    "a job that queues two": "const f = () => { queueMicrotask(f); queueMicrotask(f) }; f(); await new Promise(() => {})",
    "a thenable that never ends": "const t: any = { then(f: any) { f(t) } }; await t",
    "a proxy's trap": "const p: any = new Proxy({}, { get(t, k, r) { for (;;); } }); return p.x",
    "a labelled continue": "a: for (;;) { for (;;) continue a }",
    "the result's getters": "return { get a() { for (;;); }, toJSON: undefined }",
    "an array's species": "class A extends Array { static get [Symbol.species](): any { for (;;); } }\nreturn new A(1, 2).map(x => x)",
    "an iterator's helper": "return Iterator.from({ next() { return { done: false, value: 1 } } } as any).filter(() => false).next()",
    "a template's tag": "const f = (s: any) => { for (;;); }; return f`x`",
    "a defaulted parameter": "const f = (a: any = (() => { for (;;); })()) => a; return f()",
    "timers": "const f = () => { setTimeout(f, 0) }; f(); await new Promise(() => {})",
    "a computed key": "return { [{ toString() { for (;;); } } as any]: 1 }",
    "instanceof": "return 1 instanceof ({ [Symbol.hasInstance]() { for (;;); } } as any)",
}


@case(
    "S3",
    "a loop of bytecode is stopped wherever it runs (catch, finally, generators, getters, traps, microtasks, timers), "
    "and the script cannot catch what stops it",
    control="the bare engine without a limit runs until the kernel ends its process",
)
async def no_loop(jail: Jail) -> None:
    for name, source in LOOPS.items():
        assert (await jail.outcome(source)).status in BY_LIMIT, name
    assert alone(LOOPS["catch and finally"]) == -signal.SIGXCPU


NATIVE = {
    "repeat": "for (;;) 'x'.repeat(8e7)",
    "indexOf over a length": "return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
    "lastIndexOf over a length": "return Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)",
    "with over a length": "return (Array.prototype as any).toReversed.call({ length: 2 ** 32 - 1 })",
    "splice over a length": "return Array.prototype.splice.call({ length: 2 ** 53 - 1 } as any, 0, 1)",
    "copyWithin over a length": "return Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 } as any, 1, 0)",
    "a typed array sorted": "const a = new Float64Array(8e6).map((_, i) => -i); for (;;) { a.sort(); a.reverse() }",
    "a typed array filled": "const a = new Uint8Array(5e7); for (;;) a.fill(1)",
    "a set's union": "const a = new Set(Array.from({ length: 2e5 }, (_, i) => i)); for (;;) (a as any).union(a)",
    "a big number": "let x = 3n ** 100000n; for (;;) x = (x * x) % (3n ** 100000n)",
    "JSON both ways": "let o: any = {}; for (let i = 0; i < 18; i++) o = [o, o]; for (;;) JSON.parse(JSON.stringify(o))",
    "normalization": "for (;;) '\ufdfa'.repeat(1e6).normalize('NFKD')",
    "split and join": "for (;;) 'x'.repeat(1e6).split('').join('y')",
    "localeCompare": "const a = 'x'.repeat(3e7), b = 'x'.repeat(3e7 - 1) + 'y'; for (;;) a.localeCompare(b)",
}


@case(
    "S4",
    "a loop inside the engine's own C code, where it never looks up, is killed from outside at the end of its time",
    control="the engine's own limit of 0.1 s does not end it: the kernel's second does",
)
async def no_native_loop(jail: Jail) -> None:
    for name, source in NATIVE.items():
        outcome = await jail.outcome(source)
        assert outcome.status in (*BY_LIMIT, "crashed"), name
        assert outcome.wall_seconds < 5, name
    assert alone(NATIVE["repeat"], time_limit=0.1) == -signal.SIGXCPU


CALLED_BACK = {
    "backtracking": "return /^(a+)+$/.test('a'.repeat(50) + '!')",
    "backtracking of alternatives": "return /^(?:a|a|aa)+$/.test('a'.repeat(80) + '!')",
    "backtracking with a reference": "return /^(a+)\\1*(a+)\\2*(a+)$/.test('a'.repeat(3000) + '!')",
    "a sticky match": "const r = /(x+x+)+y/y; return r.test('x'.repeat(60))",
    "a comparator": "[3, 2, 1].sort(() => { for (;;); })",
    "a comparator that lies": "const a = Array.from({ length: 1e5 }, (_, i) => i); for (;;) a.sort(() => Math.random() - 0.5)",
    "a comparator that grows its array": "const a: any[] = [3, 2, 1]; for (;;) a.sort((x, y) => { a.push(x); return 1 })",
    "a typed comparator": "new Uint8Array([3, 2, 1]).sort(() => { for (;;); })",
    "a replacement": "'a'.replace(/a/, () => { for (;;); })",
    "a reviver": "JSON.parse('[1,2]', () => { for (;;); })",
    "a grouping": "return (Object as any).groupBy([1], () => { for (;;); })",
    "a mapping of Array.from": "Array.from({ length: 2 ** 40 }, () => 0)",
}


@case(
    "S5",
    "catastrophic regular expressions, and callbacks that never come back to sort, replace, JSON.parse and their like, "
    "are stopped",
    control="the bare engine without a limit backtracks until the kernel ends its process",
)
async def no_backtracking(jail: Jail) -> None:
    for name, source in CALLED_BACK.items():
        assert (await jail.outcome(source)).status in (*BY_LIMIT, "crashed"), name
    assert alone(CALLED_BACK["backtracking"]) == -signal.SIGXCPU


MEMORY = {
    "strings": "const a: string[] = []; for (;;) a.push('x'.repeat(1e5) + a.length)",
    "a rope": "let s = 'x'; for (;;) s = s + s",
    "a rope made flat": "let s = 'xy'; for (;;) { s = s + s; s.charCodeAt(1) }",
    "a length": "return new Array(2 ** 32 - 1).fill(0).length",
    "a length with holes": "const a: any[] = []; a[4294967294] = 1; return a.map(x => x).concat(a.flat()).length",
    "typed arrays": "const a: any[] = []; for (;;) a.push(new Float64Array(1e5))",
    "one typed array": "return new BigUint64Array(2 ** 28).length",
    "a buffer that grows": "const b = new (ArrayBuffer as any)(8, { maxByteLength: 2 ** 30 }); b.resize(2 ** 30); return b.byteLength",
    "a transfer": "let b: any = new ArrayBuffer(8); for (let n = 16; ; n *= 2) b = b.transfer(n)",
    "a spread": "let a: any[] = [1]; for (;;) a = [...a, ...a]",
    "a generator collected": "function* g() { for (;;) yield {} }\nreturn [...g()].length",
    "an object's keys": "const o: any = {}; for (let i = 0; ; i++) o['k' + i] = o",
    "private names and closures": "const a: any[] = []; for (;;) a.push(new (class { #p = new Array(100).fill(0) })())",
    "a finally that keeps": "const kept: any[] = []; for (;;) { try { kept.push(new Uint8Array(1e7)) } finally { continue } }",
    "promises": "const a: any[] = []; for (;;) a.push(Promise.withResolvers())",
    "errors": "const a: any[] = []; for (;;) a.push(new Error('x'.repeat(1e4)))",
    "toJSON": "const o: any = { toJSON() { return [o2, o2] } }; const o2: any = { toJSON() { return 'x'.repeat(1e7) } }; return [o, o, o, o, o, o]",
    "arguments": "await tools.echo('x'.repeat(9e7))",
    "padding": "return 'x'.padEnd(2 ** 30 - 25, 'yz').length",
    "replacements": "return 'x'.repeat(1e6).replace(/x/g, '$&$`').length",
}


@case(
    "S6",
    "memory runs out for the script alone, at its limit: strings, lengths, typed arrays, buffers that grow, JSON; no "
    "worker takes more than its address space",
    control="the bare engine gives the same script several times as much",
)
async def no_memory(jail: Jail) -> None:
    for name, source in MEMORY.items():
        assert (await jail.outcome(source)).status in (*BY_LIMIT, "crashed"), name
    assert 0 < jail.peak_bytes <= ADDRESS_SPACE_BYTES
    hungry = "const a = []; for (let i = 0; i < 40; i++) a.push(new Uint8Array(1e7)); return a.length"
    assert bare(hungry)[0] == 40
    assert (await jail.outcome(hungry)).status in BY_LIMIT


DEPTH = {
    "calls": "const f = (): any => f() + 1; return f()",
    "calls that catch": "const f = (): any => { try { return f() } catch { return f() } }; return f()",
    "async calls": "const f = async (): Promise<any> => await f(); return await f()",
    "generators in generators": "function* g(): any { yield* g() }\nreturn [...g()]",
    "getters": "const o: any = { get a() { return o.a } }; return o.a",
    "proxies": "let p: any = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.a",
    "toString": "const o: any = { toString() { return '' + o } }; return '' + o",
    "JSON written": "let o: any = 0; for (let i = 0; i < 3e5; i++) o = [o]; return o",
    "JSON read": "return JSON.parse('['.repeat(3e5) + ']'.repeat(3e5))",
    "arguments": "let o: any = 0; for (let i = 0; i < 3e5; i++) o = { o }; return await tools.echo(o)",
    "structuredClone": "let o: any = 0; for (let i = 0; i < 3e5; i++) o = [o]; return structuredClone(o)",
    "a pattern": "return new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('')",
    "a comparator": "const f = (): any => [1, 2].sort(f as any); return f()",
    "a replacer": "const f = (): any => 'a'.replace('a', f); return f()",
    "bound functions": "let f: any = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); return f()",
    "source": f"return {'[' * 5000}{']' * 5000}",
    "source of operators": f"return {'!' * 15000}1",
    "errors in errors": "let e: any = new Error('x'); for (let i = 0; i < 1e5; i++) e = new AggregateError([e], 'x'); throw e",
    "the console": "let o: any = 0; for (let i = 0; i < 3e5; i++) o = [o]; console.log(o); throw 1",
}


@case(
    "S7",
    "depth ends in an error of the script, not in a fault: calls, getters, proxies, JSON both ways, source; what "
    "reaches the daemon is never nested",
    control="the bare engine without a limit of its stack dies of the same recursion",
)
async def no_depth(jail: Jail) -> None:
    for name, source in DEPTH.items():
        outcome = await jail.outcome(source)
        allowed = (
            ("exceeded", "threw", "refused", "returned")
            if name != "source"
            else ("threw", "refused", "crashed", "exceeded")
        )
        assert outcome.status in allowed, (name, outcome)
    assert alone(DEPTH["calls"], stack=0) in (-signal.SIGSEGV, -signal.SIGBUS)


FLOODS: dict[str, tuple[str, int]] = {
    "lines": ("for (let i = 0; i < 1e4; i++) console.log('line', i); return 1", 0),
    "long lines": ("for (let i = 0; i < 100; i++) console.error('x'.repeat(1e5)); return 1", 0),
    "progress": ("for (let i = 0; i < 1e4; i++) context.telemetry.emitProgress('p' + i); return 1", 0),
    "long progress": ("for (let i = 0; i < 60; i++) context.telemetry.emitProgress('x'.repeat(1e5)); return 1", 0),
    "calls": (
        "let n = 0; for (let i = 0; i < 1e4; i++) { try { tools.echo({ i }); n++ } catch {} }\nreturn n",
        CALLS_MAX,
    ),
    "timers": (
        "let n = 0; for (let i = 0; i < 1e4; i++) { try { setTimeout(() => {}, 1e6); n++ } catch {} }\nreturn n",
        TIMERS_MAX,
    ),
    "timers set and cleared": (
        "let n = 0; for (let i = 0; i < 1e4; i++) { try { clearTimeout(setTimeout(() => {}, 1)); n++ } catch {} }\nreturn n",
        TIMERS_MAX,
    ),
    "large calls": (
        "let n = 0; const s = 'x'.repeat(2e5); for (let i = 0; i < 99; i++) { try { tools.echo({ s }); n++ } catch {} }\nreturn n",
        5,
    ),
    "unknown tools": ("for (let i = 0; i < 1e4; i++) (tools as any)['t' + i]({}).catch(() => {}); return 1", 0),
}


@case(
    "S18",
    "floods stop at their number and at their size: console, progress, calls, timers, and what is asked for at once",
    control="without the counters in the bare engine all of them arrive",
)
async def no_flood(jail: Jail) -> None:
    for name, (source, most) in FLOODS.items():
        show = await jail.run(source, limits=limited(cpu_seconds=3))
        outcome = show.outcome
        assert outcome.status == "returned", (name, outcome)
        assert len(outcome.console) <= CONSOLE_LINES
        assert sum(len(line.text) for line in outcome.console) <= CONSOLE_BYTES
        assert len(outcome.calls) <= CALLS_MAX
        assert len([each for each in show.events if type(each).__name__ == "ScriptProgressed"]) <= PROGRESS_EVENTS
        if most:
            assert show.value == most, name
    assert len(bare(FLOODS["calls"][0])[1]) == 10_000


@case(
    "S19",
    "what a script leaves behind does nothing: timers, unawaited and rejected promises, late microtasks and calls that "
    "still run are ended with it and named, and its outcome stays what it was",
    control="the same timer and the same call do their work when the script waits for them",
)
async def no_afterlife(jail: Jail) -> None:
    late = "setTimeout(() => tools.echo({ late: 1 }), 30)\n"
    quiet = await jail.run(late + "return 1")
    assert (quiet.value, quiet.tools.begun) == (1, [])
    waited = await jail.run(late + "await new Promise<void>(done => setTimeout(done, 60)); return 1")
    assert waited.tools.begun == [("echo", {"late": 1})]

    async def fate(source: str) -> tuple[str, Any, list[tuple[str, bool]]]:
        show = await jail.run(source, limits=limited(orphan_grace_seconds=0.05))
        return show.outcome.status, show.outcome.value, [(call.outcome, call.orphaned) for call in show.outcome.calls]

    assert await fate("tools.forever({}); return 1") == ("returned", "1", [("cancelled", True)])
    assert await fate("tools.slow({ ms: 1 }); return 1") == ("returned", "1", [("done", True)])
    assert await fate("Promise.reject(new Error('late')); return 1") == ("returned", "1", [])
    assert await fate("tools.fail({}).then(() => {}); return 1") == ("returned", "1", [("failed", True)])
    assert await fate("queueMicrotask(() => {}); Promise.resolve().then(() => { throw 1 }); return 1") == (
        "returned",
        "1",
        [],
    )
    assert await fate("(async () => { await 0; await 0; for (;;) await tools.echo({}) })(); return 1") == (
        "returned",
        "1",
        [("done", True)],
    )
    status, _, calls = await fate("for (let i = 0; i < 20; i++) tools.forever({ i }); throw new Error('x')")
    assert (status, {outcome for outcome, _ in calls}, len(calls)) == ("threw", {"cancelled"}, 20)
    two_ends = (
        "const f = async () => { setTimeout(() => { throw new Error('second') }, 0); return 'first' }; return f()"
    )
    assert await fate(two_ends) == ("returned", '"first"', [])
