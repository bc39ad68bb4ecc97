// Runs each script it is told (a JSON string per line) in a fresh runtime of quickjs-emscripten, and says how many
// milliseconds that took.  node scripts_node.mjs FOLDER_OF_NODE_MODULES
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.argv[2]}/x.cjs`));
const { getQuickJS } = await import(pathToFileURL(require.resolve("quickjs-emscripten")).href);
const engine = await getQuickJS();

async function run(source) {
  const runtime = engine.newRuntime();
  runtime.setMemoryLimit(96 << 20);
  runtime.setMaxStackSize(512 << 10);
  const context = runtime.newContext();
  const waiting = [];
  const call = context.newFunction("call", (text) => {
    const promise = context.newPromise();
    waiting.push([promise, context.getString(text)]);
    return promise.handle;
  });
  context.setProp(context.global, "call", call);
  call.dispose();
  const wrapped = `const tools = { echo: async (a) => JSON.parse(await call(JSON.stringify(a))) };
    globalThis.done = false; (async () => { ${source} })().then((value) => { done = JSON.stringify(value); })`;
  context.unwrapResult(context.evalCode(wrapped)).dispose();
  runtime.executePendingJobs();
  while (waiting.length) {
    await null;
    for (const [promise, text] of waiting.splice(0)) {
      context.newString(text).consume((value) => promise.resolve(value));
      promise.dispose();
    }
    runtime.executePendingJobs();
  }
  const done = context.getProp(context.global, "done").consume((handle) => context.dump(handle));
  if (done === false) throw new Error("it has not ended");
  context.dispose();
  runtime.dispose();
}

for await (const line of createInterface({ input: process.stdin })) {
  const began = performance.now();
  await run(JSON.parse(line));
  console.log(performance.now() - began);
}
