/** Geometry of the small charts: the limits and ticks of an axis, SVG paths, and labels that do not overlap. */

import { scaleLinear } from "d3-scale";
import type { Kind } from "../state/model";

/** The possible lower ends of an axis of similarities. An axis has the highest that is not above any value. */
const LOWER_ENDS = [0.8, 0.5, 0, -0.25, -0.5, -1];

/**
 * Move the heights of labels as little as possible so that any two are at least `least` apart and all lie between
 * `top` and `bottom`; returns the new heights. The order of the labels is kept. Labels that would overlap are stacked,
 * centred on the mean of their heights.
 */
export function spreadLabels(heights: number[], least: number, [top, bottom]: [number, number]): number[] {
  interface Block {
    members: number[];
    first: number;
  }
  const placed = (members: number[]): Block => {
    const wished = members.reduce((sum, k, rank) => sum + (heights[k] ?? 0) - rank * least, 0) / members.length;
    return { members, first: Math.max(top, Math.min(wished, bottom - (members.length - 1) * least)) };
  };
  const blocks: Block[] = [];
  for (const k of heights.map((_, k) => k).sort((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0))) {
    let block = placed([k]);
    for (;;) {
      const above = blocks.at(-1);
      if (!above || above.first + above.members.length * least <= block.first) break;
      blocks.pop();
      block = placed([...above.members, ...block.members]);
    }
    blocks.push(block);
  }
  const moved = [...heights];
  for (const { members, first } of blocks) members.forEach((k, rank) => (moved[k] = first + rank * least));
  return moved;
}

/** The two ends and the ticks of an axis that includes all values from `low` to `high`. */
export function axisOf(low: number, high: number, kind: Kind): { ends: [number, number]; ticks: number[] } {
  const bottom = LOWER_ENDS.find((one) => low >= one);
  if (kind === "similarity" && bottom !== undefined && high < 1.25) {
    return {
      ends: [bottom, Math.max(1, high)],
      ticks: bottom < 0 ? [bottom, 0, 0.5, 1] : [bottom, (bottom + 1) / 2, 1],
    };
  }
  const top = Math.max(kind === "similarity" ? 1 : 0, high);
  const scale = scaleLinear([Math.min(0, low), top > 0 || low < 0 ? top : 1], [0, 1]).nice(5);
  return { ends: scale.domain() as [number, number], ticks: scale.ticks(3) };
}

/** The text of a number, with at most three digits and a minus sign instead of a hyphen. */
export function tickText(value: number): string {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

/** The SVG path of a line through points. */
export function linePath(points: [number, number][]): string {
  return points.map(([x, y], k) => `${k ? "L" : "M"}${round(x)} ${round(y)}`).join("");
}

/** The SVG path of the area between two lines, interrupted where one of them has no number. */
export function bandPath(points: [x: number, low: number, high: number][]): string {
  const runs: [number, number, number][][] = [[]];
  for (const point of points) {
    // d3's scales give undefined for NaN
    if (point.every(Number.isFinite)) runs.at(-1)?.push(point);
    else runs.push([]);
  }
  return runs
    .filter((run) => run.length > 1)
    .map((run) => {
      const there = run.map(([x, low]): [number, number] => [x, low]);
      const back = run.map(([x, , high]): [number, number] => [x, high]).reverse();
      return `${linePath([...there, ...back])}Z`;
    })
    .join("");
}

function round(pixels: number): number {
  return Math.round(100 * pixels) / 100;
}
