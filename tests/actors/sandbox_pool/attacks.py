"""Scripts that try to hang, fill, crash or leave their worker; what each of them may at most bring about.

``ended``: by an error of its own or by a limit, which one depends on the engine's mood; ``value``: it is harmless, and
returns this.
"""

# a script is easier to read on one line

from __future__ import annotations

LOOPS = {
    "an empty loop": "for (;;);",
    "a loop in an async function": "await (async () => { while (true); })()",
    "a loop that catches what stops it": "const f = () => { for (;;); }\nfor (;;) { try { f() } catch { f() } finally { f() } }",
    "a loop of awaits": "while (true) await 0",
    "a chain of microtasks": "const step = () => Promise.resolve().then(step); await step()",
    "microtasks that double": "const two = () => { Promise.resolve().then(two); Promise.resolve().then(two) }\ntwo(); await new Promise(() => {})",
    "queueMicrotask without end": "const again = () => queueMicrotask(again); again(); await new Promise(() => {})",
    "a generator without end": "function* g() { for (;;) yield }\nfor (const x of g());",
    "an async generator without end": "async function* g() { for (;;) yield }\nfor await (const x of g());",
    "an iterator without end": "const [...all] = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) } as any",
    "a getter in the result": "return { get a() { for (;;); } }",
    "toJSON of the result": "return { toJSON() { for (;;); } }",
    "a proxy as the result": "return new Proxy({}, { ownKeys() { for (;;); } })",
    "a getter in the arguments": "await tools.echo({ get a() { for (;;); } })",
    "toString of a thrown object": "throw { toString() { for (;;); }, get message() { for (;;); }, get stack() { for (;;); } }",
    "a getter in a thrown error": "const e = new Error('x'); Object.defineProperty(e, 'name', { get() { for (;;); } }); throw e",
    "a getter for the console": "console.log({ get a() { for (;;); } })",
    "Symbol.toPrimitive": "return `${{ [Symbol.toPrimitive]() { for (;;); } } as any}`",
    "a thenable": "await { then() { for (;;); } }",
    "a comparison for sort": "[2, 1].sort(() => { for (;;); })",
    "a replacer": "'a'.replace(/a/, () => { for (;;); })",
    "a reviver": "JSON.parse('[1]', () => { for (;;); })",
    "a static block": "class A { static { for (;;); } }",
    "the clock": "const began = Date.now(); while (Date.now() < began + 1000);",
    "timers without end": "const tick = () => setTimeout(tick, 0); tick(); await new Promise(() => {})",
    "backtracking": "return /^(a+)+$/.test('a'.repeat(50) + '!')",
    "backtracking over alternatives": "return /^(a|aa)+$/.test('a'.repeat(80) + '!')",
}

NATIVE = {
    "a native search": "const s = 'ab'.repeat(5e6); let n = 0; for (;;) n += s.lastIndexOf('b'.repeat(4e6))",
    "repeat in a loop": "for (;;) 'x'.repeat(8e7)",
    "padStart in a loop": "for (;;) 'x'.padStart(8e7)",
    "indexOf over a length": "return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
    "reverse over a length": "return Array.prototype.reverse.call({ length: 2 ** 53 - 1 } as any)",
    "sort over a length": "const a: any[] = []; a.length = 2 ** 32 - 1; return a.sort()",
    "join over a length": "return Array(2 ** 28).join('').length",
    "includes over a typed array": "const a = new Float64Array(1e7); for (;;) a.includes(1)",
    "JSON that doubles": "let o: any = {}; for (let i = 0; i < 40; i++) o = [o, o]; return JSON.stringify(o)",
    "arguments that double": "let o: any = {}; for (let i = 0; i < 40; i++) o = [o, o]; await tools.echo(o)",
    "a result that doubles": "let o: any = {}; for (let i = 0; i < 40; i++) o = [o, o]; return o",
    "a big product": "let x = 3n ** 200000n; for (;;) x * x",
    "a big number's digits": "return (7n ** 900000n).toString().length",
    "replaceAll that squares": "return 'x'.repeat(1e5).replaceAll('x', 'y'.repeat(1e5)).length",
    "copyWithin": "const a = new Uint8Array(5e7); for (;;) a.copyWithin(1, 0)",
    "normalization": "for (;;) 'ﷺ'.repeat(1e6).normalize('NFKD')",
}

MEMORY = {
    "strings": "const a: string[] = []; for (;;) a.push('x'.repeat(1e5) + a.length)",
    "one string": "let s = 'x'; for (;;) s += s",
    "one long string": "return 'x'.repeat(2 ** 30 - 2).length",
    "arrays": "let a: any[] = []; for (;;) a = [a, a]",
    "an array's length": "return new Array(2 ** 32 - 2).fill(0).length",
    "objects": "const a: any[] = []; for (;;) a.push({ a: 1 })",
    "keys": "const o: any = {}; for (let i = 0; ; i++) o['k' + i] = i",
    "symbols": "for (let i = 0; ; i++) Symbol.for('s' + i)",
    "buffers": "const a: any[] = []; for (;;) a.push(new ArrayBuffer(1 << 20))",
    "one buffer": "return new Uint8Array(2 ** 31 - 1).length",
    "a buffer that grows": "const b = new (ArrayBuffer as any)(1, { maxByteLength: 2 ** 31 }); b.resize(2 ** 31 - 1); return b.byteLength",
    "a map": "const m = new Map(); for (let i = 0; ; i++) m.set(i, {})",
    "a weak map": "const m = new WeakMap(), k: any[] = []; for (;;) { const o = {}; k.push(o); m.set(o, new Uint8Array(1e5)) }",
    "closures": "let f: any = () => 0; for (;;) { const g = f; f = () => g }",
    "promises": "const a: any[] = []; for (;;) a.push(new Promise(() => {}))",
    "errors with stacks": "const a: any[] = []; for (;;) a.push(new Error('x'.repeat(1000)))",
    "regular expressions": "const a: any[] = []; for (let i = 0; ; i++) a.push(new RegExp('(' + i + ')*'.repeat(1)))",
    "a big number": "let x = 2n; for (;;) x = x * x",
    "what catches the error": "const a: any[] = []; for (;;) { try { for (;;) a.push(new Uint8Array(1e6)) } catch { a.push('x'.repeat(1e5)) } }",
    "structuredClone": "let o: any = []; for (let i = 0; i < 1e6; i++) o = [o]; structuredClone(o)",
    "a spread": "const a = new Array(3e7).fill(1); Math.max(...a)",
    "fill over a length": "Array.prototype.fill.call({ length: 2 ** 53 - 1 } as any, 0)",
    "an object of a length": "return Array.from({ length: 2 ** 32 - 1 })",
    "timers": "for (;;) setTimeout(() => {}, 1e6)",
    "calls": "for (;;) { try { tools.echo({}) } catch {} }",
    "a call's arguments": "const s = 'x'.repeat(2e5); for (let i = 0; i < 90; i++) tools.echo({ s })",
    "the console": "for (;;) console.log('x'.repeat(1e5))",
    "progress": "for (;;) context.telemetry.emitProgress('x'.repeat(1e5))",
}

DEPTH = {
    "a call": "const f = (): any => f() + 1; return f()",
    "a call that catches": "const f = (): any => { try { return f() } catch { return f() } }; return f()",
    "toString": "const o: any = { toString() { return `${o}` } }; return `${o}`",
    "a getter": "const o: any = { get a() { return o.a } }; return o.a",
    "a setter": "const o: any = { set a(v: any) { this.a = v } }; o.a = 1",
    "proxies": "let p: any = {}; for (let i = 0; i < 1e6; i++) p = new Proxy(p, {}); return p.a",
    "a proxy as its own prototype": "const p: any = new Proxy({}, { getPrototypeOf: () => p, get: (t, k, r) => r[k] }); return p.a",
    "proxied arrays": "let p: any = []; for (let i = 0; i < 1e6; i++) p = new Proxy(p, {}); return Array.isArray(p)",
    "prototypes": "let o: any = {}; for (let i = 0; i < 1e6; i++) o = Object.create(o); return o.a ?? 'none'",
    "bound functions": "let f: any = () => 1; for (let i = 0; i < 1e6; i++) f = f.bind(null); return f()",
    "JSON written": "let o: any = 0; for (let i = 0; i < 1e6; i++) o = [o]; return JSON.stringify(o)",
    "JSON read": "return JSON.parse('['.repeat(1e6) + ']'.repeat(1e6))",
    "JSON returned": "let o: any = 0; for (let i = 0; i < 1e5; i++) o = { o }; return o",
    "JSON as arguments": "let o: any = 0; for (let i = 0; i < 1e5; i++) o = { o }; await tools.echo(o)",
    "a list that is freed": "let o: any = null; for (let i = 0; i < 5e5; i++) o = { o }; o = null; return 'freed'",
    "flat without end": "const a: any[] = []; a.push(a); return a.flat(Infinity)",
    "source in parentheses": f"return {'(' * 5000}1{')' * 5000}",
    "source in brackets": f"return {'[' * 5000}{']' * 5000}",
    "source in arrows": f"return {'()=>' * 4000}1",
    "source in operators": f"return {'-+' * 5000}1",
    "source in templates": f"return {'`${' * 3000}1{'}`' * 3000}",
    "source that is slow to read": "f<a," * 5000,
    "a pattern in parentheses": "return new RegExp('('.repeat(1e5) + ')'.repeat(1e5))",
    "a pattern that repeats": "return new RegExp('(?:'.repeat(500) + 'a' + '){2,9}'.repeat(500)).test('a')",
}

ESCAPES: dict[str, tuple[str, object]] = {
    "no eval": ("return typeof (globalThis as any)['ev' + 'al']", "undefined"),
    "no code from a function's constructor": (
        "try { return (() => {}).constructor('return 1')() } catch (e: any) { return e.name }",
        "TypeError",
    ),
    "no code from any function's constructor": (
        """
        const kinds = [function () {}, async () => {}, function* () {}, async function* () {}, class {}, tools.echo,
          Map, setTimeout, context.telemetry.emitProgress, Object.getOwnPropertyDescriptor(Map.prototype, 'size')!.get]
        return kinds.map((f: any) => {
          try { f.constructor('return 1'); return 'made' } catch {}
          try { Object.getPrototypeOf(f).constructor('return 1'); return 'made' } catch {}
          try { Reflect.construct(f.constructor, ['return 1']); return 'made' } catch {}
          try { new (class extends f.constructor { constructor() { super('return 1') } })(); return 'made' } catch {}
          return 'no'
        }).join()
        """,
        ",".join(["no"] * 10),
    ),
    "no modules": (
        "try { return await (0 as any, globalThis as any).import('fs') } catch (e: any) { return e.name }",
        "TypeError",
    ),
    "no process, no file, no network": (
        "return ['process', 'require', 'module', 'std', 'os', 'Deno', 'Bun', 'fetch', 'XMLHttpRequest', 'WebSocket', 'Worker', 'importScripts', 'SharedArrayBuffer', 'Atomics', 'WebAssembly', 'performance', 'WeakRef', 'FinalizationRegistry'].filter(name => name in globalThis)",
        [],
    ),
    "only these names in the world": (
        "return Object.getOwnPropertyNames(globalThis).filter(n => typeof (globalThis as any)[n] === 'function' && !/^[A-Z]/.test(n)).sort().join()",
        "atob,btoa,clearTimeout,decodeURI,decodeURIComponent,encodeURI,encodeURIComponent,isFinite,isNaN,parseFloat,parseInt,queueMicrotask,setTimeout,structuredClone",
    ),
    "intrinsics cannot be changed": (
        """
        const tries: (() => void)[] = [
          () => { (Object.prototype as any).evil = 1 }, () => { (Array.prototype as any).push = 1 },
          () => { (Promise.prototype as any).then = 1 }, () => { Object.defineProperty(Object.prototype, 'x', { get() {} }) },
          () => { (JSON as any).stringify = 1 }, () => { (globalThis as any).Promise = 1 }, () => { (Math as any).random = 1 },
          () => { Object.setPrototypeOf(Array.prototype, {}) }, () => { (Object.prototype as any).__proto__ = {} },
          () => { (Object.prototype as any).toJSON = 1 }, () => { (Error as any).prepareStackTrace = 1 },
          () => { (Error as any).stackTraceLimit = 0 }, () => { delete (Array.prototype as any).map },
          () => { (Object.prototype as any).then = 1 }, () => { (String.prototype as any).toString = 1 },
          () => { ((function* () {})() as any).__proto__.__proto__.next = 1 }, () => { (RegExp.prototype as any).exec = 1 },
        ]
        return tries.filter(t => { try { t(); return true } catch { return false } }).length
        """,
        0,
    ),
    "an object may have what its prototype has": (
        """
        const e = new Error('a'); e.name = 'B'; e.message = 'c'
        const o: any = {}; o.toString = () => 'mine'; o.constructor = 1; o.then = undefined; o.hasOwnProperty = 1
        class C extends Map { get(k: any): any { return 'got ' + k } }
        return [String(e), `${o}`, o.constructor, new C().get(1)]
        """,
        ["B: c", "mine", 1, "got 1"],
    ),
    "tools and context are frozen": (
        """
        const tries: (() => void)[] = [
          () => { (tools as any).echo = 1 }, () => { (tools as any).more = 1 }, () => { delete (tools as any).echo },
          () => { (tools.echo as any).x = 1 }, () => { context.workingDirectory = '/' }, () => { context.deep.a.push(1) },
          () => { (context as any).more = 1 }, () => { context.sandbox.mode = 'off' },
          () => { (context.sandbox as any).remainingToolBudget = 1e9 }, () => { Object.setPrototypeOf(tools, {}) },
          () => { (context.telemetry.emitProgress as any).x = 1 }, () => { Object.defineProperty(tools, 'x', { value: 1 }) },
        ]
        return tries.filter(t => { try { t(); return true } catch { return false } }).length
        """,
        0,
    ),
    "a call's promise cannot be turned": (
        """
        const p: any = tools.echo({ a: 1 })
        let seen = 'nothing'
        try { p.then = () => { seen = 'then' } } catch {}
        try { p.constructor = { [Symbol.species]: class { constructor(f: any) { f(() => { seen = 'species' }, () => {}) } } } } catch {}
        const r = await p
        return [r.a, seen]
        """,
        [1, "nothing"],
    ),
    "nothing of the host can be seen": (
        "return [typeof (globalThis as any).host, typeof (globalThis as any).pending, new Error('x').stack]",
        ["undefined", "undefined", "    at script (1:82)\n"],
    ),
    "callers cannot be seen": (
        "function f(): any { try { return (f as any).caller } catch (e: any) { return e.name } }\nreturn f()",
        "TypeError",
    ),
    "no stack is longer than the script's": (
        "const o: any = {}; (Error as any).captureStackTrace(o); return o.stack.split('\\n').length",
        2,
    ),
    "the time zone and the locale tell nothing": (
        "return [new Date().getTimezoneOffset(), (1234.5).toLocaleString(), typeof Intl]",
        [0, "1234.5", "undefined"],
    ),
    "a __proto__ in a result is only a key": (
        'const r = await tools.echo(JSON.parse(\'{"__proto__": {"x": 1}}\')); return [r.x, Object.keys(r)]',
        [None, ["__proto__"]],
    ),
}
