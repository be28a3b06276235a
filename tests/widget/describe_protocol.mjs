/** Prints the interfaces of js/state/model.ts as JSON: name -> field -> type, with aliases written out. */

import { readFileSync } from "node:fs";
import ts from "typescript";

const [path] = process.argv.slice(2);
const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
const aliases = new Map();
for (const one of source.statements) if (ts.isTypeAliasDeclaration(one)) aliases.set(one.name.text, one.type);

/** The parts of a type, sorted, so that the order of a union does not matter. */
function written(node) {
  if (ts.isUnionTypeNode(node)) return node.types.map(written).sort().join(" | ");
  if (ts.isParenthesizedTypeNode(node)) return written(node.type);
  if (ts.isArrayTypeNode(node)) return `Array<${written(node.elementType)}>`;
  if (ts.isTupleTypeNode(node)) return `[${node.elements.map(written).join(", ")}]`;
  if (ts.isTypeReferenceNode(node)) {
    const name = node.typeName.getText();
    if (aliases.has(name)) return written(aliases.get(name));
    return node.typeArguments ? `${name}<${node.typeArguments.map(written).join(", ")}>` : name;
  }
  return node.getText();
}

const interfaces = {};
for (const one of source.statements) {
  if (!ts.isInterfaceDeclaration(one)) continue;
  interfaces[one.name.text] = Object.fromEntries(one.members.map((m) => [m.name.getText(), written(m.type)]));
}
const unions = Object.fromEntries(
  [...aliases].filter(([name]) => /Python$/.test(name)).map(([name, type]) => [name, written(type)]),
);
console.log(JSON.stringify({ interfaces, unions }));
