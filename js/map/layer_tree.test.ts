import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { LayerTree } from "./layer_tree";

interface Case {
  about: string;
  names: string[];
  blocks: [string, number, number][];
  open: string[];
  entries: [number, string | null][];
  brackets: [string, number, number, number][];
  default: string[];
}

// the same cases hold `layer_tree.py`
const cases = JSON.parse(readFileSync("tests/layer_trees.json", "utf8")) as Case[];

it.each(cases)("$about", ({ names, blocks, open, entries, brackets, default: usual }) => {
  const tree = new LayerTree(names);
  expect(new Set([...tree.blocks.values()].map(({ path, row, depth }) => [path, row, depth].join("|")))).toEqual(
    new Set(blocks.map((one) => one.join("|"))),
  );
  const found = tree.entries(new Set(open));
  expect(found.map(({ index, folded }) => [index, folded ?? null])).toEqual(entries);
  expect(tree.brackets(found).map(({ path, first, last, depth }) => [path, first, last, depth])).toEqual(brackets);
  expect(new Set(tree.defaultOpen())).toEqual(new Set(usual));
});

it("opens a deep network to about 25 rows, and says nothing of a flat one", () => {
  const deep = new LayerTree(
    [3, 4, 23, 3].flatMap((count, stage) =>
      Array.from({ length: count }, (_, k) => [`layer${stage}.${k}.conv`, `layer${stage}.${k}`]).flat(),
    ),
  );
  expect(deep.entries(new Set(deep.defaultOpen())).length).toBe(3 + 4 + 1 + 3);
  const flat = new LayerTree(Array.from({ length: 300 }, (_, k) => `layer${k}`));
  expect([flat.depth, flat.entries(new Set()).length]).toEqual([0, 300]);
});
