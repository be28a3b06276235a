import { expect, it } from "vitest";
import { blockAt, layerFilter, openedFor, positionOf, Sides, toggleBlock } from "./side";

const axis = {
  model: "net",
  layers: ["stem", "one.conv", "one.bn1", "one", "two.conv", "two.bn2"],
  kinds: ["Conv2d", "Conv2d", "BatchNorm2d", "Block", "Conv2d", "BatchNorm2d"],
};
const names = (side: ReturnType<Sides["side"]>) => side.entries.map(({ index }) => side.layers[index]);

it("is the same object while nothing changes", () => {
  const sides = new Sides();
  const side = sides.side(axis, ["one"], "");
  expect(sides.side(axis, ["one"], "")).toBe(side);
  expect(sides.side(axis, [], "")).not.toBe(side);
  expect(sides.side(axis, ["one"], "")).toBe(side);
});

it("folds and opens", () => {
  const sides = new Sides();
  const folded = sides.side(axis, [], "");
  expect(names(folded)).toEqual(["stem", "one", "two.bn2"]);
  expect(blockAt(folded, 1)).toEqual({ path: "one", folded: true });
  const opened = sides.side(axis, toggleBlock(folded, "one"), "");
  expect(names(opened)).toEqual(["stem", "one.conv", "one.bn1", "one", "two.bn2"]);
  expect(blockAt(opened, 3)).toEqual({ path: "one", folded: false });
  expect(blockAt(opened, 1)).toBeUndefined();
  expect(toggleBlock(opened, "one")).toEqual([]);
});

it("knows where a hidden layer stands, and what opens it", () => {
  const folded = new Sides().side(axis, [], "");
  expect(positionOf(folded, "one.bn1")).toBe(1);
  expect(positionOf(folded, "two.conv")).toBe(2);
  expect(positionOf(folded, "nowhere")).toBe(-1);
  expect(openedFor(folded, "two.conv")).toEqual(["two"]);
});

it("filters by type, part of a name, or pattern, and shows all that pass", () => {
  const sides = new Sides();
  expect(names(sides.side(axis, [], "batchnorm2d"))).toEqual(["one.bn1", "two.bn2"]);
  expect(names(sides.side(axis, [], "*.bn?"))).toEqual(["one.bn1", "two.bn2"]);
  expect(names(sides.side(axis, [], "ONE stem"))).toEqual(["stem", "one.conv", "one.bn1", "one"]);
  const filtered = sides.side(axis, [], "conv2d");
  expect(names(filtered)).toEqual(["stem", "one.conv", "two.conv"]);
  expect(positionOf(filtered, "one.bn1")).toBe(-1);
  expect(blockAt(filtered, 1)).toBeUndefined();
  expect(names(sides.side(axis, [], "nothing like it"))).toEqual([]);
});

it("takes every letter of a pattern but * and ? for itself", () => {
  expect(layerFilter("a.b*")("axb", "")).toBe(false);
  expect(layerFilter("<img*)")("<img src=x onerror=alert(1)>)", "")).toBe(true);
  expect(layerFilter("[x]?")("[x]y", "")).toBe(true);
  expect(layerFilter("  ")("anything", "")).toBe(true);
});
