"""S1, S2, S8 to S12, S20: attacks in the language."""

from __future__ import annotations

import json
import re
import unicodedata

import _quickjs

from actors.sandbox_pool.inside.protocol import PREFIX
from actors.sandbox_pool.scanner import Block, Scanner
from tests.actors.sandbox_pool.attacks import ESCAPES
from tests.actors.sandbox_pool.security.jail import Jail, bare
from tests.actors.sandbox_pool.security.registry import case

WRAPPER_ESCAPES = (
    "});globalThis.out = 1;(async () => {",
    "}); globalThis.out = 1; (async (tools, context) => { //",
    "let a = 1, b = 1;\na <!--b; `\n});globalThis.out = 1;(async (tools, context) => {\n//`",
    "let a = 1;\n--> `\n});globalThis.out = 1;(async (tools, context) => {\n//`",
    "//\u2028});globalThis.out = 1;(async () => {",
    "/*\r*/});globalThis.out = 1;(async () => {",
    "'\\\n'});globalThis.out = 1;(async () => {",
    "`${1}`});globalThis.out = 1;(async () => {`",
    "#!x\n});globalThis.out = 1;(async () => {",
)


@case(
    "S1",
    "a script cannot close the function it is wrapped in, sees only the names of the language, strict and frozen, and "
    "finds no host function",
    control="the same texts, wrapped and given to the bare engine, run code outside",
)
async def no_way_out(jail: Jail) -> None:
    outside = 0
    for source in WRAPPER_ESCAPES:
        assert (await jail.outcome(source)).status == "refused", source
        context = _quickjs.Context()
        try:
            context.eval(f"{PREFIX}{source}\n}})")
        except _quickjs.JSException:
            continue
        outside += context.eval("globalThis.out ?? 0")
    assert outside >= 3
    for name in (
        "no process, no file, no network",
        "only these names in the world",
        "callers cannot be seen",
        "nothing of the host can be seen",
    ):
        source, expected = ESCAPES[name]
        assert await jail.value(source) == expected, name
    assert await jail.value("return (function (this: any) { return typeof this })()") == "undefined"
    loose = "return Object.getOwnPropertyNames(globalThis).filter(name => { const d: any = "
    loose += "Object.getOwnPropertyDescriptor(globalThis, name); return d.writable || d.configurable }).length"
    assert await jail.value(loose) == 0
    assert bare(loose)[0] > 50


MAKERS = """
const run = (make: () => any) => { try { const made = make(); return typeof made === 'function' && made() === 7 } catch { return false } }
const code = 'return 7'
const kinds: any[] = [function () {}, () => {}, class {}.constructor, tools.echo, [].map, Map, Symbol,
  Object.getOwnPropertyDescriptor(Map.prototype, 'size')!.get, (() => {}).bind(null), new Proxy(() => {}, {}),
  Promise.prototype.then, ({}).constructor, ({}).toString, class { static m() {} }.m, JSON.parse, Error]
const makers: (() => any)[] = kinds.flatMap((kind: any) => [
  () => kind.constructor(code), () => new kind.constructor(code), () => kind.constructor.constructor(code),
  () => Object.getPrototypeOf(kind).constructor(code), () => Reflect.construct(kind.constructor, [code]),
  () => Reflect.apply(kind.constructor, null, [code]), () => kind.constructor.bind(null)(code),
  () => kind.constructor.call.call(kind.constructor, null, code),
  () => new (class extends kind.constructor { constructor() { super(code) } })(),
])
const more: (() => any)[] = [
  () => (globalThis as any)['ev' + 'al']('(() => 7)'),
  () => Reflect.get(globalThis, 'ev' + 'al')('(() => 7)'),
  () => Object.values(Object.getOwnPropertyDescriptors(globalThis)).map((d: any) => d.value).find((v: any) => v?.name === 'ev' + 'al')('(() => 7)'),
]
const later = ['async () => {}', 'gen', 'asyncGen']
const hidden = [async () => {}, function* () {}, async function* () {}]
const compiled = hidden.filter((kind: any) => { try { return typeof kind.constructor('1') === 'function' } catch { return false } })
return [makers.filter(run).length, more.filter(run).length, compiled.length]
"""


@case(
    "S2",
    "no text becomes code: not through any kind of function's constructor, however it is reached, not through eval, "
    "import() or setTimeout",
    control="the bare engine makes functions through the same expressions",
)
async def no_code_from_text(jail: Jail) -> None:
    assert await jail.value(MAKERS) == [0, 0, 0]
    by_constructor, by_eval, hidden = bare(MAKERS)[0]
    assert by_constructor > 50
    assert (by_eval, hidden) == (3, 3)
    for source in (
        "setTimeout('1' as any, 0)",
        "queueMicrotask('1' as any)",
        "new (globalThis as any)['Func' + 'tion']('1')",
    ):
        assert (await jail.outcome(source)).status == "threw", source
    for source in ("await import('std')", "eval('1')", "new Function('1')", "require('os')", "\\u0065val('1')"):
        outcome = await jail.outcome(source)
        assert outcome.failure is not None
        assert (outcome.status, outcome.failure.line) == ("refused", 1), source


POLLUTION = """
const tries: (() => void)[] = [
  () => { (Object.prototype as any).toJSON = function () { return 'polluted' } },
  () => { Object.defineProperty(Object.prototype, 'a', { get: () => 'polluted', set() {} }) },
  () => { (Array.prototype as any).toJSON = () => 'polluted' },
  () => { (String.prototype as any).toJSON = () => 'polluted' },
  () => { JSON.stringify = () => '"polluted"' },
  () => { (Object.prototype as any).__proto__ = { evil: 1 } },
  () => { Object.setPrototypeOf(Array.prototype, { evil: 1 }) },
  () => { Object.assign(Object.prototype, JSON.parse('{"evil": 1}')) },
  () => { Reflect.set(Object.prototype, 'evil', 1) || (() => { throw 0 })() },
  () => { Object.getPrototypeOf(() => {}).call = () => 'polluted' },
  () => { (Promise.prototype as any).then = () => 'polluted' },
  () => { (Symbol.prototype as any)[Symbol.toPrimitive] = () => 'polluted' },
  () => { (RegExp.prototype as any).exec = () => null },
  () => { (Iterator.prototype as any).map = 1 },
  () => { (Object.getPrototypeOf(Int8Array) as any).from = 1 },
  () => { (globalThis as any).Promise = class {} },
  () => { (globalThis as any).undefined2 = 1; delete (globalThis as any).undefined2; throw 0 },
  () => { const merge = (to: any, from: any) => { for (const k in from) typeof from[k] === 'object' ? merge(to[k] ??= {}, from[k]) : to[k] = from[k] }; merge({}, JSON.parse('{"__proto__": {"evil": 1}}')) },
]
const done = tries.filter(t => { try { t(); return true } catch { return false } }).length
try { await tools.echo({ a: 1 }) } catch {}
return [done, ({} as any).evil ?? 0]
"""

UNFROZEN = """
const seen = new Set<any>(), loose: string[] = [], todo: [any, string][] = []
const empty = { next() { return { done: true } } } as any
const own = new Set<any>()
for (const [name, value] of Object.entries({
  world: globalThis, tools, context, console, echo: tools.echo, wrapped: Object.getPrototypeOf(Iterator.from(empty)),
  helper: Object.getPrototypeOf([].values().map((x: any) => x)), matches: Object.getPrototypeOf('a'.matchAll(/a/g)),
  maps: Object.getPrototypeOf(new Map().entries()), texts: Object.getPrototypeOf(''[Symbol.iterator]()),
  generators: Object.getPrototypeOf(function* () {}), asyncGenerators: Object.getPrototypeOf(async function* () {}),
  asyncs: Object.getPrototypeOf(async () => {}), bound: Object.getPrototypeOf((() => {}).bind(null)),
  callee: Object.getOwnPropertyDescriptor((function () { return arguments })(), 'callee')!.get,
})) todo.push([value, name])
while (todo.length) {
  const [object, path] = todo.pop()!
  if (object === null || (typeof object !== 'object' && typeof object !== 'function') || seen.has(object)) continue
  seen.add(object)
  if (object !== globalThis && !Object.isFrozen(object)) loose.push(path)
  todo.push([Object.getPrototypeOf(object), path + '.[[Prototype]]'])
  for (const key of Reflect.ownKeys(object)) {
    const property: any = Object.getOwnPropertyDescriptor(object, key)
    for (const part of ['value', 'get', 'set']) if (part in property) todo.push([property[part], `${path}.${String(key)}`])
  }
}
return [seen.size > 500, loose]
"""


@case(
    "S8",
    "no prototype and no intrinsic can be changed: everything that can be reached is frozen, arguments arrive as they "
    "were written, and `__proto__` in data is only a key",
    control="in the bare engine one such line changes what any call would be asked with, and nothing is frozen",
)
async def no_pollution(jail: Jail) -> None:
    show = await jail.run(POLLUTION)
    assert show.value == [0, 0]
    assert show.tools.begun == [("echo", {"a": 1})]
    context = _quickjs.Context()
    context.eval("Object.prototype.toJSON = () => 'polluted'")
    assert context.eval("[JSON.stringify({ a: 1 })].join('')") == '"polluted"'
    assert context.eval("Object.isFrozen(Array.prototype) || Object.isFrozen(Promise)") is False
    assert await jail.value(UNFROZEN) == [True, []]
    source, expected = ESCAPES["a __proto__ in a result is only a key"]
    assert await jail.value(source) == expected


THENABLES = """
const p: any = tools.echo({ a: 1 })
try { p.then = (f: any) => f('forged') } catch {}
try { p.constructor = { [Symbol.species]: class { constructor(f: any) { f(() => {}, () => {}) } } } } catch {}
try { Object.setPrototypeOf(p, { then: (f: any) => f('forged') }) } catch {}
return (await Promise.all([p]))[0]
"""


@case(
    "S9",
    "a call's promise cannot be given another `then`, constructor, species or prototype; subclasses and thenables get "
    "no hold of how it is settled, and a promise settles once",
    control="in the bare engine the same lines answer a call with what the script made up",
)
async def no_hold_of_promises(jail: Jail) -> None:
    assert await jail.value(THENABLES) == {"a": 1}
    assert bare(THENABLES)[0] == "forged"
    source, expected = ESCAPES["a call's promise cannot be turned"]
    assert await jail.value(source) == expected
    thief = """
    const taken: any[] = [] // the ways to settle promises of its own kind
    class Thief extends Promise<any> {
      constructor(run: any) { super((resolve, reject) => { taken.push(resolve); run(resolve, reject) }) }
      static get [Symbol.species]() { return Thief }
    }
    const asked = tools.echo({ a: 1 })
    const mine = Thief.resolve(asked)
    for (const resolve of taken) resolve('forged')
    return [await asked, await mine]
    """
    assert await jail.value(thief) == [{"a": 1}, {"a": 1}]
    many = "let n = 0; const r = await { then(a: any) { for (n = 0; n < 5; n++) a(n) } } as any; return [r, n]"
    assert await jail.value(many) == [0, 5]
    late = "return await tools.echo({ then: 1, constructor: { name: 'x' } })"
    assert await jail.value(late) == {"then": 1, "constructor": {"name": "x"}}


TWO_FACED = """
let n = 0
const asked: any = { get a() { return ++n } }
const proxy: any = new Proxy({}, { ownKeys: () => ['a'], get: () => ++n, getOwnPropertyDescriptor: () => ({ value: 0, enumerable: true, configurable: true }) })
return [await tools.echo(asked), await tools.echo(proxy), n]
"""


@case(
    "S10",
    "getters, proxies and `toJSON` run once, inside, under the limits; what is approved, run and logged is one text; "
    "tools, context and their descriptors give nothing away",
    control="a host that keeps the object reads something else the second time",
)
async def no_two_faces(jail: Jail) -> None:
    show = await jail.run(TWO_FACED)
    assert show.value == [{"a": 1}, {"a": 3}, 3]  # 2: the proxy was asked for its toJSON
    assert [arguments for _, arguments in show.tools.begun] == [{"a": 1}, {"a": 3}]
    assert bare("let n = 0; const o = { get a() { return ++n } }; return [o.a === o.a, JSON.stringify(o)]")[0] == [
        False,
        '{"a":3}',
    ]
    source, expected = ESCAPES["tools and context are frozen"]
    assert await jail.value(source) == expected
    probes = """
    const seen: any[] = []
    const trap: any = new Proxy(tools, { get(t, k, r) { seen.push(String(k)); return Reflect.get(t, k, r) } })
    await trap.echo({ a: 1 })
    const under: any = Object.create(tools as any)
    try { under.echo = 1 } catch { seen.push('kept') }
    const descriptors = Object.getOwnPropertyDescriptors(context.sandbox) as any
    seen.push(typeof descriptors.remainingToolBudget.get.call({}), typeof (tools as any).then, typeof (tools as any).toJSON)
    seen.push(await (tools as any).constructor('return 1').catch((e: any) => e.code))
    seen.push(await (tools as any).__proto__({}).catch((e: any) => e.code))
    return seen
    """
    assert await jail.value(probes) == [
        *("echo", "kept", "number", "undefined", "undefined"),
        *("tool_not_found", "tool_not_found"),
    ]
    assert (await jail.outcome("throw new Proxy({}, { get() { throw 1 } })")).status == "threw"
    assert (await jail.outcome("return new Proxy([], { get() { throw 1 } })")).status == "threw"


CLOCKS = """
const began = Date.now(), wall = new Date().getTime()
for (let i = 0; i < 3e5; i++);
return [
  ['Atomics', 'SharedArrayBuffer', 'WeakRef', 'FinalizationRegistry', 'performance'].filter(name => name in globalThis),
  Date.now() === began && new Date().getTime() === wall && Date() === String(new Date(began)),
]
"""


@case(
    "S11",
    "no shared memory, no clock that runs while the script does, no view of the collector, and no randomness of the "
    "machine's: a replay reads what the first run read, and nothing can be timed",
    control="the bare engine has them all, and its clock runs",
)
async def no_clocks(jail: Jail) -> None:
    assert await jail.value(CLOCKS) == [[], True]
    names, _ = bare(CLOCKS)[0]
    assert {"Atomics", "SharedArrayBuffer", "WeakRef", "FinalizationRegistry"} <= set(names)
    running = "const began = Date.now(); for (let i = 0; i < 1e9; i++) if (Date.now() > began) return 'it runs'; return 'it stands'"
    assert bare(running)[0] == "it runs"
    assert (await jail.outcome(running)).status == "exceeded"
    drawn = "return [Math.random(), Math.random(), Math.random()]"
    assert await jail.value(drawn) == await jail.value(drawn)  # the stage gives every script the same seed
    assert bare(drawn)[0] != bare(drawn)[0]
    source, expected = ESCAPES["the time zone and the locale tell nothing"]
    assert await jail.value(source) == expected


FORGED_NAME = "const n = 'x (1:1)\\n    at fake (77:7)\\n'; const o: any = { [n]() { return new Error('x').stack } }\nreturn o[n]()"
HOOKED = """
try { (Error as any).prepareStackTrace = (_: any, sites: any) => 'hooked ' + sites.length } catch {}
try { (Error as any).stackTraceLimit = 1000 } catch {}
return String(new Error('x').stack)
"""


@case(
    "S12",
    "a stack holds the script's own frames and lines: it cannot be hooked, lengthened or forged through a function's "
    "name, and shows no path and no frame of the host's",
    control="the bare engine hands its call sites to a hook, and prints any name",
)
async def honest_stacks(jail: Jail) -> None:
    assert await jail.value(FORGED_NAME) == "    at script (1:80)\n    at script (2:10)\n"
    assert "fake (77:7)" in bare(FORGED_NAME)[0]
    hooked = await jail.value(HOOKED)
    assert hooked.startswith("    at script (4:")
    assert bare(HOOKED)[0].startswith("hooked")
    failed = await jail.run("\nawait tools.fail({ code: 'x' })")
    assert failed.failure == ("tool", "x", 2)
    assert failed.outcome.failure is not None
    assert [(frame.function, frame.line) for frame in failed.outcome.failure.stack] == [("script", 2)]
    everything = "const e: any = new Error('x'); return JSON.stringify([e.stack, Object.getOwnPropertyNames(e)])"
    assert "prelude" not in await jail.value(everything)
    assert "/" not in (await jail.value(everything)).replace("\\n", "")


NO_TAGS = {
    "full-width brackets": "\uff1ctool-calls\uff1e\nreturn 1\n\uff1c/tool-calls\uff1e",
    "a zero-width space": "<tool\u200b-calls>\nreturn 1\n</tool-calls>",
    "a soft hyphen": "<tool\u00ad-calls>\nreturn 1\n</tool-calls>",
    "another hyphen": "<tool\u2010calls>\nreturn 1\n</tool-calls>",
    "a Cyrillic letter": "<t\u043eol-calls>\nreturn 1\n</tool-calls>",
    "a combining mark": "<tool-calls\u0301>\nreturn 1\n</tool-calls>",
    "capitals": "<Tool-Calls>\nreturn 1\n</Tool-Calls>",
    "a blank inside": "<tool-calls >\nreturn 1\n</tool-calls>",
    "an attribute": "<tool-calls run>\nreturn 1\n</tool-calls>",
    "behind a no-break space": "\u00a0<tool-calls>\nreturn 1\n</tool-calls>",
    "behind an override": "\u202e<tool-calls>\nreturn 1\n</tool-calls>",
    "behind a byte order mark": "\ufeff<tool-calls>\nreturn 1\n</tool-calls>",
    "behind a line separator": "text\u2028<tool-calls>\nreturn 1\n</tool-calls>",
    "in a sentence": "write <tool-calls>\nreturn 1\n</tool-calls>",
    "in a quotation": "> <tool-calls>\nreturn 1\n</tool-calls>",
    "in a fence": "```\n<tool-calls>\nreturn 1\n</tool-calls>\n```",
    "in a fence of tildes": "~~~~ts\n<tool-calls>\nreturn 1\n</tool-calls>\n~~~\n~~~~",
    "never closed": "<tool-calls>\nreturn 1\n",
    "closed in a string": "<tool-calls>\nreturn '</tool-calls>",
    "closed in a comment": "<tool-calls>\nreturn 1 /* </tool-calls>",
}
NAIVE = re.compile(r"<tool-calls[^>]*>(.*?)(</tool-calls>|\Z)", re.DOTALL | re.IGNORECASE)


def naive(text: str) -> bool:
    """Whether a search over the normalized text would run something."""
    shown = "".join(
        character for character in unicodedata.normalize("NFKC", text) if character.isprintable() or character == "\n"
    )
    return NAIVE.search(shown) is not None


def blocks(text: str) -> list[str]:
    """The scripts that would be run, whatever pieces the text comes in."""
    found = []
    for size in (1, 3, len(text)):
        scanner = Scanner()
        pieces = [piece for at in range(0, len(text), size) for piece in scanner.feed(text[at : at + size])]
        pieces += scanner.close()
        found.append([piece.source for piece in pieces if isinstance(piece, Block) and piece.problem is None])
    assert found[0] == found[1] == found[2]
    return found[0]


@case(
    "S20",
    "nothing but the tag itself at the start of a line opens a block: no look-alike, invisible character, fence, "
    "quotation or unclosed block runs, and a tag inside a literal closes none",
    control="a search with a regular expression over the normalized text would run nearly all of them",
)
async def no_other_tags(jail: Jail) -> None:
    assert {name: blocks(text) for name, text in NO_TAGS.items()} == {key: [] for key in NO_TAGS}
    assert sum(naive(text) for text in NO_TAGS.values()) > len(NO_TAGS) * 3 // 4
    honest = (
        "<tool-calls>\nconst s = '</tool-calls>', t = `</tool-calls>` // </tool-calls>\nreturn s + t\n</tool-calls>"
    )
    (script,) = blocks(honest)
    assert await jail.value(script) == "</tool-calls>" * 2
    assert json.dumps(NAIVE.findall(honest)[0][0]) == '"\\nconst s = \'"'
