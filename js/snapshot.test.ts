import { describe, expect, it } from "vitest";
import type { SnapshotMeta } from "./model";
import { cellsOf, float32, transposed } from "./snapshot";

const axes = [
  { model: "a", layers: ["one", "two"] },
  { model: "b", layers: ["x", "y", "z"] },
];
const meta: SnapshotMeta = {
  measures: [{ name: "cka", title: "CKA", kind: "similarity", reasons: {} }],
  blocks: [{ measure: "cka", x: 0, y: 1, offset: 0 }],
  n_samples: 1,
  n_batches: 1,
  complete: true,
  notes: [],
};
const numbers = Float32Array.from([1, 2, 3, 4, 5, 6, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);

describe("float32", () => {
  it("respects the window that an array has on its buffer", () => {
    const buffer = new ArrayBuffer(3 + numbers.byteLength);
    const bytes = new Uint8Array(buffer, 3);
    bytes.set(new Uint8Array(numbers.buffer));
    for (const window of [bytes, new DataView(buffer, 3)]) {
      expect([...float32(window, 4, 2)]).toEqual([2, 3]);
    }
  });
});

describe("cellsOf", () => {
  const bytes = new DataView(numbers.buffer);

  it("gives values and errors of a view", () => {
    const cells = cellsOf(bytes, meta, axes, "cka", [0, 1]);
    expect([...(cells?.values ?? [])]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(cells?.stderr[5]).toBeCloseTo(0.6);
    expect(cells?.modelY).toBe("b");
  });

  it("mirrors a block that was sent the other way round", () => {
    const cells = cellsOf(bytes, meta, axes, "cka", [1, 0]);
    expect(cells?.rows).toEqual(["x", "y", "z"]);
    expect([...(cells?.values ?? [])]).toEqual([1, 4, 2, 5, 3, 6]);
    expect(cells?.stderr[1]).toBeCloseTo(0.4);
  });

  it("gives nothing for what was not sent", () => {
    expect(cellsOf(bytes, meta, axes, "dcka", [0, 1])).toBeUndefined();
    expect(cellsOf(bytes, meta, axes, "cka", [0, 7])).toBeUndefined();
  });
});

it("transposes", () => {
  expect([...transposed(Float32Array.from([1, 2, 3, 4, 5, 6]), 2, 3)]).toEqual([1, 4, 2, 5, 3, 6]);
});
