import { expect, it } from "vitest";
import { LABEL_PITCH, shortened } from "../parts/text";
import { labelsOf, nameParts } from "./labels";
import { type Side, Sides } from "./side";

const names = Array.from({ length: 20 }, (_, k) => [`block${k}.conv`, `block${k}.norm`, `block${k}`]).flat();
const axis = (layers: string[]) => ({ model: "a", layers, kinds: layers.map(() => "") });
const open = (side: Side) => side.tree.toDepth(9);

function sideOf(layers: string[], opened?: string[]): Side {
  const side = new Sides().side(axis(layers), [], "");
  return new Sides().side(axis(layers), opened ?? open(side), "");
}

it("labels every row when there is room, with what a click on it does", () => {
  const side = sideOf(names, ["block1"]);
  const labels = labelsOf(side, 0, 22, 22 * 13, [], 13);
  expect(labels.map(({ name }) => name).slice(0, 5)).toEqual([
    "block0",
    "block1.conv",
    "block1.norm",
    "block1",
    "block2",
  ]);
  expect(labels[0]?.block).toEqual({ path: "block0", folded: true });
  expect(labels[1]?.block).toBeUndefined();
  expect(labels[3]?.block).toEqual({ path: "block1", folded: false });
});

it("labels blocks where rows are too close, and never two too near", () => {
  const side = sideOf(names);
  const labels = labelsOf(side, 0, 60, 60 * 6, [], LABEL_PITCH);
  expect(labels.map(({ name }) => name)).toEqual(Array.from({ length: 20 }, (_, k) => `block${k}`));
  for (const [count, length] of [
    [60, 60],
    [60, 333],
    [60, 900],
  ] as const) {
    for (const strong of [[], [0], [17, 18], [59, 0]]) {
      const shown = labelsOf(side, 0, count, length, strong, LABEL_PITCH);
      const gaps = shown.slice(1).map(({ at }, k) => at - shown[k]!.at);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(LABEL_PITCH);
      if (strong[0] !== undefined) expect(shown.some(({ position }) => position === strong[0])).toBe(true);
    }
  }
});

it("labels every k-th row where there are no blocks, the same ones wherever the map is moved", () => {
  const side = sideOf(Array.from({ length: 100 }, (_, k) => `layer${k}`));
  const shown = (from: number) => labelsOf(side, from, from + 40, 260, [], 13).map(({ position }) => position);
  expect(shown(0)).toEqual(Array.from({ length: 20 }, (_, k) => 2 * k));
  expect(shown(7.3).every((position) => position! % 2 === 0)).toBe(true);
});

it("keeps labels inside the part that is seen", () => {
  const labels = labelsOf(sideOf(names), 10.2, 14.7, 300, [2, 12], 13);
  expect(labels.map(({ position }) => position)).toEqual([10, 11, 12, 13, 14]);
  for (const { at } of labels) expect(at >= 0 && at <= 300).toBe(true);
});

it("cuts names in their middle, as little as needed", () => {
  const fits = (text: string) => text.length <= 9;
  expect(shortened("short", fits)).toBe("short");
  expect(shortened("layer4.1.downsample.0", fits)).toBe("laye…le.0");
  expect(shortened("layer4.1", () => false)).toBe("…");
  expect(shortened("layer4.1.conv.", (text) => text.length <= 7, "last")).toBe("….conv.");
});

it("tells where a layer stands from what it is", () => {
  expect(nameParts("layer1.0.conv")).toEqual(["layer1.0.", "conv"]);
  for (const whole of ["conv", "", ".x", "x."]) expect(nameParts(whole)).toEqual(["", whole]);
});
