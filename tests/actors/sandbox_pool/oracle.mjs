// Asks ts-blank-space (TypeScript's own parser) what is left of a program without its types.
//   node oracle.mjs FOLDER_OF_NODE_MODULES < JSON array of [typescript, javascript or null]
// For each pair: is the program valid, can its types be erased, and does our javascript have the same syntax tree?
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.argv[2]}/oracle.cjs`));
const ts = require("typescript");
const { default: blank } = await import(pathToFileURL(require.resolve("ts-blank-space")).href);

const parse = (text, name) => ts.createSourceFile(name, text, ts.ScriptTarget.ESNext, true);
const tree = (text) => {
  const kinds = [];
  const walk = (node) => {
    // empty statements and empty class members are what erased declarations may leave behind
    if (node.kind === ts.SyntaxKind.EmptyStatement || node.kind === ts.SyntaxKind.SemicolonClassElement) return;
    kinds.push(`(${node.kind}`);
    if (ts.isIdentifier(node)) kinds.push(node.text);
    ts.forEachChild(node, walk);
    kinds.push(")");
  };
  const file = parse(text, "a.js");
  walk(file);
  return file.parseDiagnostics.length ? null : kinds.join(" ");
};

const answers = JSON.parse(readFileSync(0, "utf8")).map(([typescript, javascript]) => {
  const valid = parse(typescript, "a.ts").parseDiagnostics.filter(({ code }) => code !== 1108).length === 0;
  let erasable = true;
  const expected = blank(typescript, () => { erasable = false; });
  const wanted = tree(`async () => {${expected}\n}`);
  return {
    valid,
    erasable,
    expected,
    same: javascript === null || wanted === null ? null : wanted === tree(`async () => {${javascript}\n}`),
  };
});
process.stdout.write(JSON.stringify(answers));
