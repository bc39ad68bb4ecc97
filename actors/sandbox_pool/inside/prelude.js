// What a script finds in its world, and what it does not.
//
// Evaluated once, in the zygote; every worker is a fork of the result. It returns `host`, the one function through which
// the worker speaks to the script. Nothing a script can reach leads to it, and nothing here calls what a script may
// have replaced: all that is used was taken aside first, and every intrinsic is frozen.
//
//   host("init", config)    tools, context, clock, seed and limits, as JSON text
//   host("main", function)  run the script
//   host("settle", pump)    {clock, settled: [...]} as JSON text: calls and timers that have ended, in their order
//   host("drain")           what the script has asked for since, and how it stands, as JSON text
//   host("give up", why)    the same; it has used up what it was given, as ``why`` (JSON text) says
//
// Only flat text crosses, so no getter, proxy or `toString` of a script is ever run outside the engine's limits.
(function () {
  "use strict";
  const G = globalThis;

  // ── taken aside ──────────────────────────────────────────────────────────────────────────────────────────────────
  const { parse, stringify } = JSON;
  const { apply, construct, ownKeys, getPrototypeOf } = Reflect;
  const { create, defineProperty, freeze, getOwnPropertyDescriptor: descriptorOf } = Object;
  const { captureStackTrace } = Error;
  const { isArray } = Array;
  const { imul, trunc } = Math;
  const { fromCharCode } = String;
  const { isView } = ArrayBuffer;
  const [Text, Failure, WrongType, Promised, RealDate, Maps, Sets, Bytes] = [
    String, Error, TypeError, Promise, Date, Map, Set, Uint8Array,
  ];
  const bind = (method) => (self, ...args) => apply(method, self, args);
  const join = bind([].join);
  const sliceText = bind("".slice);
  const codeAt = bind("".charCodeAt);
  const indexOfText = bind("".indexOf);
  const replaceText = bind("".replace);
  const wellFormed = bind("".toWellFormed); // half a surrogate pair is no text, and no frame
  const then = bind(Promised.prototype.then);
  const [mapGet, mapSet, mapEach] = [bind(Maps.prototype.get), bind(Maps.prototype.set), bind(Maps.prototype.forEach)];
  const [setAdd, setEach] = [bind(Sets.prototype.add), bind(Sets.prototype.forEach)];
  const timeOf = bind(RealDate.prototype.getTime);
  const AsyncFunction = (async () => {}).constructor;
  const GeneratorFunction = (function* () {}).constructor;
  const AsyncGeneratorFunction = (async function* () {}).constructor;

  const hide = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
  const clip = (text, length) => (text.length > length ? sliceText(text, 0, length) : text);
  const quoted = (text) => stringify(wellFormed(text));
  // JSON of the script's values: the engine writes half a pair as an escape, which other readers refuse
  const mended = (text) =>
    indexOfText(text, "\\ud") < 0 ? text :
    replaceText(text, /\\(?:(ud[89a-f][0-9a-f]{2})|[^])/g, (whole, half) => (half === undefined ? whole : "\ufffd"));
  const isWord = (text) => { // a function's name can be any text, also one that looks like a line of a stack
    if (typeof text !== "string" || text === "") return false;
    for (let i = 0; i < text.length; i++) {
      const code = codeAt(text, i);
      if (code < 33 || code === 40 || code === 41 || (code > 126 && code < 160) || code === 0x2028 || code === 0x2029) {
        return false;
      }
    }
    return true;
  };
  const flat = (parts) => join(parts, ""); // the engine's binding cannot take a text that is still a rope

  const limits = { __proto__: null, prelude: 30000, prefix: 0 };

  // ── no code from text, no clock of its own, no view of the collector ─────────────────────────────────────────────
  const refuse = function Function() {
    throw new WrongType("code cannot be made from text here");
  };
  for (const maker of [Function, AsyncFunction, GeneratorFunction, AsyncGeneratorFunction]) {
    defineProperty(maker.prototype, "constructor", { value: refuse, writable: false, configurable: false });
  }
  defineProperty(refuse, "prototype", { value: getPrototypeOf(refuse), writable: false }); // for instanceof Function
  hide(G, "Function", refuse);
  const absent = [
    "eval", "escape", "unescape", "Atomics", "SharedArrayBuffer", "WeakRef", "FinalizationRegistry", "performance",
    "__date_clock", "gc", "print", "load", "std", "os", "bjson", "navigator", "scriptArgs",
  ];
  for (const name of absent) delete G[name];

  // A stack shows the script's own frames, in its own lines. The engine keeps the function; what sets it goes, because
  // a frozen Error would still let a script set it.
  Failure.stackTraceLimit = 24;
  Failure.prepareStackTrace = (_, sites) => {
    let stack = "";
    for (let i = 0; i < sites.length; i++) {
      const at = sites[i].getLineNumber();
      if (typeof at !== "number" || at >= limits.prelude) continue;
      const line = at > limits.prefix ? at - limits.prefix : 1;
      const column = sites[i].getColumnNumber();
      const name = sites[i].getFunctionName();
      stack += `    at ${isWord(name) ? clip(name, 60) : "script"} (${line}:${column > 0 ? column : 1})\n`;
    }
    return stack;
  };
  delete Failure.stackTraceLimit;
  delete Failure.prepareStackTrace;

  let clock = 0; // as of the last settlement, so that a replay reads the same
  const now = { now() { return clock; } }.now;
  const Dates = function Date(...parts) {
    if (new.target === undefined) return Text(construct(RealDate, [clock]));
    return construct(RealDate, parts.length === 0 ? [clock] : parts, new.target);
  };
  defineProperty(Dates, "prototype", { value: RealDate.prototype, writable: false });
  defineProperty(Dates, "length", { value: 7 });
  hide(Dates, "now", now);
  hide(Dates, "parse", RealDate.parse);
  hide(Dates, "UTC", RealDate.UTC);
  hide(RealDate.prototype, "constructor", Dates);
  hide(G, "Date", Dates);

  let seed = 1; // mulberry32: every fork would otherwise draw the same numbers, and no replay the same
  hide(Math, "random", { random() {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  } }.random);

  // ── what a script may use without asking anybody ─────────────────────────────────────────────────────────────────
  const cloned = (value, seen) => {
    if (typeof value === "function" || typeof value === "symbol") {
      throw new WrongType(`a ${typeof value} cannot be cloned`);
    }
    if (value === null || typeof value !== "object") return value;
    const known = mapGet(seen, value);
    if (known !== undefined) return known;
    const keep = (copy) => { mapSet(seen, value, copy); return copy; };
    if (isArray(value)) {
      const copy = keep([]);
      for (let i = 0; i < value.length; i++) copy[i] = cloned(value[i], seen);
      return copy;
    }
    if (value instanceof RealDate) return keep(construct(RealDate, [timeOf(value)]));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof Maps) {
      const copy = keep(new Maps());
      mapEach(value, (item, key) => mapSet(copy, cloned(key, seen), cloned(item, seen)));
      return copy;
    }
    if (value instanceof Sets) {
      const copy = keep(new Sets());
      setEach(value, (item) => setAdd(copy, cloned(item, seen)));
      return copy;
    }
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (isView(value)) {
      const buffer = cloned(value.buffer, seen);
      const length = value instanceof DataView ? value.byteLength : value.length;
      return keep(new value.constructor(buffer, value.byteOffset, length));
    }
    if (value instanceof Failure) {
      const copy = keep(new Failure(Text(value.message)));
      hide(copy, "name", Text(value.name));
      hide(copy, "stack", Text(value.stack));
      return copy;
    }
    const copy = keep({});
    for (const key of ownKeys(value)) {
      if (typeof key === "string" && descriptorOf(value, key)?.enumerable) {
        defineProperty(copy, key, {
          value: cloned(value[key], seen), writable: true, enumerable: true, configurable: true,
        });
      }
    }
    return copy;
  };
  hide(G, "structuredClone", { structuredClone(value) { return cloned(value, new Maps()); } }.structuredClone);

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") {
      text = `${text}`;
      const bytes = new Bytes(text.length * 3);
      let at = 0;
      for (let i = 0; i < text.length; i++) {
        let code = codeAt(text, i);
        if (code >= 0xd800 && code <= 0xdfff) {
          const low = code < 0xdc00 && i + 1 < text.length ? codeAt(text, i + 1) : 0;
          if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            i++;
          } else code = 0xfffd;
        }
        if (code < 0x80) bytes[at++] = code;
        else {
          if (code < 0x800) bytes[at++] = 0xc0 | (code >> 6);
          else {
            if (code < 0x10000) bytes[at++] = 0xe0 | (code >> 12);
            else {
              bytes[at++] = 0xf0 | (code >> 18);
              bytes[at++] = 0x80 | ((code >> 12) & 63);
            }
            bytes[at++] = 0x80 | ((code >> 6) & 63);
          }
          bytes[at++] = 0x80 | (code & 63);
        }
      }
      return new Bytes(bytes.buffer.slice(0, at));
    }
  }
  class TextDecoder {
    constructor(label = "utf-8", options = {}) {
      if (!/^(utf-?8|unicode-1-1-utf-8)$/i.test(`${label}`)) throw new RangeError(`only utf-8 is known, not ${label}`);
      hide(this, "fatal", options.fatal === true);
    }
    get encoding() { return "utf-8"; }
    decode(input = new Bytes(0)) {
      const bytes = isView(input) ? new Bytes(input.buffer, input.byteOffset, input.byteLength) : new Bytes(input);
      const parts = [];
      const wrong = () => {
        if (this.fatal) throw new WrongType("these bytes are not valid UTF-8");
        parts[parts.length] = "\ufffd";
      };
      let i = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
      while (i < bytes.length) {
        const lead = bytes[i++];
        if (lead < 0x80) { parts[parts.length] = fromCharCode(lead); continue; }
        const more = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
        if (more === 0) { wrong(); continue; }
        let code = lead & (0x3f >> more);
        let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80; // neither too long forms,
        let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf; // nor surrogates, nor beyond the last one
        let left = more;
        for (; left > 0 && i < bytes.length && bytes[i] >= low && bytes[i] <= high; left--) {
          code = (code << 6) | (bytes[i++] & 63);
          low = 0x80;
          high = 0xbf;
        }
        if (left > 0) { wrong(); continue; }
        parts[parts.length] = code < 0x10000
          ? fromCharCode(code)
          : fromCharCode(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 1023));
      }
      return flat(parts);
    }
  }
  hide(G, "TextEncoder", TextEncoder);
  hide(G, "TextDecoder", TextDecoder);

  class ToolError extends Failure {
    constructor(message, details = {}) {
      super(message);
      for (const key of ownKeys(details)) {
        defineProperty(this, key, { value: details[key], writable: true, enumerable: true, configurable: true });
      }
    }
  }
  hide(ToolError.prototype, "name", "ToolError");
  hide(G, "ToolError", ToolError);

  // ── the outbox ───────────────────────────────────────────────────────────────────────────────────────────────────
  const pending = create(null); // call or timer id -> what to do when it has ended
  let outbox = [];
  let room = 0;
  let calls = 0;
  let timers = 0;
  let lines = 0;
  let lineRoom = 0;
  let progress = 0;
  let state = "running";
  let outcome = "null";
  let lastApproval = null;
  let tools;
  let context;

  const put = (entry) => {
    if (entry.length > room) throw new ToolError("too much was asked for at once", { code: "limit", retryable: false });
    room -= entry.length;
    outbox[outbox.length] = entry;
  };
  const settled = (id, by) => {
    const entry = pending[id];
    if (entry !== undefined) {
      delete pending[id];
      by(entry);
    }
  };
  const failed = (message, details) => {
    const error = new ToolError(message, details);
    return new Promised((_, reject) => reject(error));
  };

  const call = (name, args, caller) => {
    let text;
    try {
      text = args === undefined ? "{}" : stringify(args);
      if (typeof text === "string" && text.length <= limits.arguments) text = mended(text);
    } catch (error) {
      return failed(`the arguments of ${name} are no JSON: ${messageOf(error)}`, {
        code: "invalid_arguments", retryable: false, tool: name,
      });
    }
    if (typeof text !== "string" || text.length > limits.arguments) {
      const reason = typeof text === "string" ? `longer than ${limits.arguments}` : "no JSON";
      return failed(`the arguments of ${name} are ${reason}`, { code: "invalid_arguments", retryable: false, tool: name });
    }
    if (calls >= limits.calls) { // not before: a `toJSON` of the arguments may have made calls
      throw new ToolError(`a script may make ${limits.calls} calls`, { code: "limit", retryable: false, tool: name });
    }
    const at = create(null);
    captureStackTrace(at, caller);
    const stack = clip(at.stack, 1000);
    put(`{"type":"call","number":${calls + 1},"tool":${stringify(name)},"arguments":${stringify(text)},"stack":${quoted(stack)}}`);
    const id = ++calls;
    return freeze(new Promised((resolve, reject) => {
      pending[`c${id}`] = freeze({ resolve, reject, stack, name });
    }));
  };

  // What stands for a value that was kept elsewhere can be read from. It stays plain data: `slice` is not enumerable, so
  // a handle that is returned, or given to another call, is what the daemon said it is.
  const READER = "readHandle";
  const readable = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (typeof value.handle === "string" && typeof value.size === "number") {
      const { handle } = value;
      const slice = { slice(from, to) {
        const args = { handle };
        if (from !== undefined) args.from = from;
        if (to !== undefined) args.to = to;
        return tools[READER](args);
      } }.slice;
      hide(value, "slice", freeze(slice));
    } else if (!isArray(value)) {
      readable(value.output);
      readable(value.text);
      if (isArray(value.images)) for (let i = 0; i < value.images.length; i++) readable(value.images[i]);
    }
    return value;
  };

  const toolbox = (names, prefix, spawn) => {
    const known = create(null);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const tool = { [name](args) { return call(prefix + name, args, tool); } }[name];
      known[name] = freeze(tool);
    }
    if (spawn !== undefined) known.spawn = spawn;
    freeze(known);
    const list = join(names, ", ");
    return new Proxy(known, freeze({
      __proto__: null,
      get(_, name) {
        const tool = typeof name === "string" ? known[name] : undefined;
        if (tool !== undefined || typeof name !== "string" || name === "then" || name === "toJSON") return tool;
        return () => failed(`there is no tool ${clip(name, 100)}; these can be called: ${list}`, {
          code: "tool_not_found", retryable: false, tool: name,
        });
      },
    }));
  };

  const shown = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Failure) return `${nameOf(value)}: ${messageOf(value)}`;
    if (typeof value === "object" && value !== null) {
      const text = stringify(value, (_, item) => (typeof item === "bigint" ? `${item}n` : item));
      if (typeof text === "string") return text;
    }
    return Text(value);
  };
  const here = () => { // the script's own frames: those of the prelude are left out of every stack
    const at = create(null);
    captureStackTrace(at);
    return clip(at.stack, 1000);
  };
  const say = (level, values) => {
    if (lines >= limits.lines) return;
    const parts = [];
    for (let i = 0; i < values.length; i++) {
      try {
        parts[i] = clip(shown(values[i]), limits.lineCharacters);
      } catch (error) {
        parts[i] = "[unprintable]";
      }
    }
    if (lines >= limits.lines) return; // a value may have printed others while it was shown
    lines++;
    const line = clip(join(parts, " "), lineRoom);
    lineRoom -= line.length;
    put(`{"type":"line","level":"${level}","text":${quoted(line)},"stack":${quoted(here())}}`);
  };
  const console = create(null);
  for (const level of ["log", "info", "warn", "error", "debug"]) {
    console[level] = { [level](...values) { say(level, values); } }[level];
  }

  const emitProgress = { emitProgress(message) {
    if (progress >= limits.progress) return;
    progress++;
    const text = quoted(clip(shown(message), limits.lineCharacters));
    put(`{"type":"progress","text":${text},"stack":${quoted(here())}}`);
  } }.emitProgress;

  hide(G, "setTimeout", { setTimeout(callback, milliseconds = 0, ...args) {
    if (typeof callback !== "function") throw new WrongType("setTimeout needs a function");
    const wait = trunc(+milliseconds); // which may set timers
    if (timers >= limits.timers) throw new RangeError(`a script may set ${limits.timers} timers`);
    put(`{"type":"timer","number":${timers + 1},"milliseconds":${wait > 0 && wait < 2147483648 ? wait : 0}}`);
    const id = ++timers;
    pending[`t${id}`] = () => apply(callback, undefined, args);
    return id;
  } }.setTimeout);
  const { queueMicrotask: queue } = G; // the engine's own lets what is thrown out, to be read by whoever gets it
  hide(G, "queueMicrotask", { queueMicrotask(callback) {
    if (typeof callback !== "function") throw new WrongType("queueMicrotask needs a function");
    queue(() => { try { apply(callback, undefined, []); } catch (error) { threw(error); } });
  } }.queueMicrotask);
  hide(G, "clearTimeout", { clearTimeout(id) {
    const number = +id; // once: it may be an object with an opinion
    const key = `t${number}`;
    if (pending[key] === undefined) return;
    delete pending[key];
    put(`{"type":"cleared","number":${number}}`);
  } }.clearTimeout);

  // ── how a script ends ────────────────────────────────────────────────────────────────────────────────────────────
  const textOf = (error, key) => { // read once: a getter may answer differently the second time
    const value = error[key];
    return typeof value === "string" ? value : undefined;
  };
  const nameOf = (error) => textOf(error, "name") ?? "Error";
  const messageOf = (error) => {
    if (error === null || typeof error !== "object") return typeof error === "symbol" ? "a symbol" : Text(error);
    return textOf(error, "message") ?? stringify(error) ?? "an object";
  };
  const described = (error, depth) => {
    let parts = ['"name":"Error","message":"an error that cannot be shown"'];
    try {
      const isObject = error !== null && typeof error === "object";
      const stack = isObject ? clip(textOf(error, "stack") ?? "", 4000) : "";
      const code = isObject ? textOf(error, "code") : undefined;
      const callId = isObject ? textOf(error, "callId") : undefined;
      const errors = isObject && depth < 1 ? error.errors : undefined;
      const name = isObject ? nameOf(error) : "Error";
      const said = [
        `"name":${quoted(clip(name, 100))},"message":${quoted(clip(messageOf(error), 4000))}`,
        `,"stack":${quoted(stack)}`,
      ];
      if (code !== undefined) said[said.length] = `,"code":${quoted(clip(code, 100))}`;
      if (callId !== undefined) said[said.length] = `,"call_id":${quoted(clip(callId, 100))}`;
      if (isArray(errors)) {
        const causes = [];
        for (let i = 0; i < errors.length && i < 10; i++) causes[i] = described(errors[i], depth + 1);
        said[said.length] = `,"causes":[${join(causes, ",")}]`;
      }
      parts = said;
    } catch (unprintable) {
      // its own getters have thrown
    }
    return `{${join(parts, "")}}`;
  };
  const finish = (how, text) => {
    if (state === "running") {
      state = how;
      outcome = text;
    }
  };
  const returned = (value) => {
    try {
      const text = value === undefined ? "null" : stringify(value) ?? "null";
      if (text.length > limits.result) throw new RangeError(`the returned value is longer than ${limits.result}`);
      finish("returned", stringify(mended(text)));
    } catch (error) {
      finish("threw", described(error, 0));
    }
  };
  const threw = (error) => finish("threw", described(error, 0));

  // ── hardening: every intrinsic is frozen ─────────────────────────────────────────────────────────────────────────
  const repaired = new Sets([
    "constructor", "toString", "valueOf", "toLocaleString", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable",
    "name", "message", "toJSON", "then", "catch", "finally", "next", "return", "throw", "length", "size", "get", "set",
    "has", "add", "delete", "map", "filter", "find", "keys", "values", "entries", "at", "call", "apply", "bind", "test",
  ]);
  const has = bind(Sets.prototype.has);
  // A frozen prototype's data property would forbid objects that inherit it to have their own by assignment.
  const repair = (object, name, { value, enumerable }) => {
    const get = () => value;
    const { set } = { set(own) { // a method: a function would have a prototype, to be frozen as well
      if (this === object) throw new WrongType(`${Text(name)} is frozen`);
      defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true });
    } };
    defineProperty(object, name, { get: freeze(get), set: freeze(set), enumerable, configurable: false });
  };
  const harden = (roots) => {
    const seen = new Sets();
    const todo = roots;
    while (todo.length > 0) {
      const object = todo[todo.length - 1];
      todo.length--;
      if (object === null || (typeof object !== "object" && typeof object !== "function") || has(seen, object)) continue;
      setAdd(seen, object);
      todo[todo.length] = getPrototypeOf(object);
      const isPrototype = typeof object === "object" && object !== Math && object !== JSON && object !== Reflect;
      for (const name of ownKeys(object)) {
        const property = descriptorOf(object, name);
        if ("value" in property) {
          todo[todo.length] = property.value;
          if (object === G) defineProperty(G, name, { writable: false, configurable: false });
          else if (isPrototype && property.configurable && has(repaired, name)) repair(object, name, property);
        } else {
          todo[todo.length] = property.get;
          todo[todo.length] = property.set;
        }
      }
      if (object !== G) freeze(object);
    }
  };
  hide(G, "console", console);
  harden([
    G, AsyncFunction, GeneratorFunction, AsyncGeneratorFunction, refuse, RealDate, emitProgress,
    getPrototypeOf([][Symbol.iterator]()), getPrototypeOf(new Maps()[Symbol.iterator]()),
    getPrototypeOf(new Sets()[Symbol.iterator]()), getPrototypeOf(""[Symbol.iterator]()),
    getPrototypeOf("a".matchAll(/a/g)), getPrototypeOf(Bytes), getPrototypeOf((function* () {})()),
    getPrototypeOf((async function* () {})()), Iterator.from([]), getPrototypeOf(Iterator.from({ next() {} })), getPrototypeOf([].values().map((x) => x)),
    getPrototypeOf(getPrototypeOf((async function* () {})())),
  ]);
  const deepFreeze = (value) => {
    if (value !== null && typeof value === "object") {
      for (const key of ownKeys(value)) deepFreeze(value[key]);
      freeze(value);
    }
    return value;
  };

  // ── the host's side ──────────────────────────────────────────────────────────────────────────────────────────────
  const init = (config) => {
    for (const key of ownKeys(config.limits)) limits[key] = config.limits[key];
    room = limits.pump;
    lineRoom = limits.consoleCharacters;
    clock = config.clock;
    seed = config.seed | 0;
    tools = toolbox(config.tools, "", config.spawn.length > 0 ? toolbox(config.spawn, "spawn.") : undefined);
    const given = config.context;
    for (const part of ["sandbox", "approvals", "telemetry"]) given[part] ??= {};
    defineProperty(given.sandbox, "remainingToolBudget", { get: freeze(() => limits.calls - calls), enumerable: true });
    defineProperty(given.approvals, "lastRequestId", { get: freeze(() => lastApproval), enumerable: true });
    given.telemetry.emitProgress = emitProgress;
    for (const part of ["sandbox", "approvals"]) freeze(given[part]);
    for (const key of ownKeys(given)) if (key !== "sandbox" && key !== "approvals") deepFreeze(given[key]);
    context = freeze(given);
  };
  const settle = (pump) => {
    clock = pump.clock;
    if (pump.approval !== undefined) lastApproval = pump.approval;
    for (let i = 0; i < pump.settled.length; i++) {
      const item = pump.settled[i];
      if (item.timer !== undefined) {
        settled(`t${item.timer}`, (run) => { try { run(); } catch (error) { threw(error); } });
      } else if (item.error === undefined) {
        settled(`c${item.call}`, (entry) => {
          try {
            entry.resolve(readable(parse(item.value)));
          } catch (error) {
            entry.reject(new ToolError("the result cannot be read", { code: "result", retryable: false, tool: entry.name }));
          }
        });
      } else {
        settled(`c${item.call}`, (entry) => {
          const { message, ...details } = item.error;
          const error = new ToolError(message, details);
          hide(error, "stack", entry.stack); // where it was called: there is no other frame of the script's
          entry.reject(error);
        });
      }
    }
  };
  const drain = () => {
    const text = flat(['{"state":"', state, '","outcome":', outcome, ',"asked":[', join(outbox, ","), "]}"]);
    outbox = [];
    room = limits.pump;
    return text;
  };
  return function host(verb, argument) {
    switch (verb) {
      case "init": return init(parse(argument)), true;
      case "main": return then(argument(tools, context), returned, threw), true;
      case "settle": return settle(parse(argument)), true;
      case "drain": return drain();
      case "give up": return state = "exceeded", outcome = argument, drain();
      default: throw new WrongType("no such verb");
    }
  };
})();
