import { zlibSync } from "fflate";
import { describe, expect, it } from "vitest";
import type { SnapshotMeta } from "./model";
import { float32, Snapshot, transposed } from "./snapshot";

const axes = [
  { model: "a", layers: ["one", "two"], kinds: ["", ""] },
  { model: "b", layers: ["x", "y", "z"], kinds: ["", "", ""] },
];
const about = { name: "cka", title: "CKA", kind: "similarity" as const, reasons: {} };
const meta: SnapshotMeta = {
  run_id: "r",
  seq: 3,
  measures: [about],
  blocks: [
    { measure: "cka", x: 0, y: 1, offset: 0, low: -1, high: 1, error_high: 0.5 },
    { measure: "cka", x: 0, y: 0, offset: 24, low: 0, high: 65534, error_high: 65534 },
  ],
  n_samples: 1,
  n_batches: 1,
  complete: true,
};
const steps = [0, 32767, 65534, 65535, 0, 0, 65534, 32767, 0, 65535, 0, 0, 10, 20, 30, 1, 2, 3];
const deflated = zlibSync(Uint8Array.from(planes(steps, [6, 6, 3, 3])));

/** Parts of some steps each, all their low bytes before their high ones. */
function planes(all: number[], lengths: number[]): number[] {
  let from = 0;
  return lengths.flatMap((length) => {
    const part = all.slice(from, (from += length));
    return [...part.map((step) => step & 255), ...part.map((step) => step >> 8)];
  });
}

describe("float32", () => {
  it("respects the window that an array has on its buffer", () => {
    const numbers = Float32Array.from([2, 3]);
    const buffer = new ArrayBuffer(3 + numbers.byteLength);
    const bytes = new Uint8Array(buffer, 3);
    bytes.set(new Uint8Array(numbers.buffer));
    for (const window of [bytes, new DataView(buffer, 3), numbers.buffer]) expect([...float32(window)]).toEqual([2, 3]);
  });
});

describe("Snapshot", () => {
  const snapshot = new Snapshot(deflated, meta, axes);

  it("gives values and errors of a view", () => {
    const cells = snapshot.cells("cka", [0, 1]);
    expect([...(cells?.values ?? [])]).toEqual([-1, 0, 1, NaN, -1, -1]);
    expect([...(cells?.stderr ?? [])]).toEqual([0.5, 0.25, 0, NaN, 0, 0]);
    expect(cells?.modelY).toBe("b");
  });

  it("mirrors a block that was sent the other way round", () => {
    const cells = snapshot.cells("cka", [1, 0]);
    expect(cells?.rows).toEqual(["x", "y", "z"]);
    expect([...(cells?.values ?? [])]).toEqual([-1, NaN, 0, -1, 1, -1]);
  });

  it("fills both halves of a model with itself", () => {
    const cells = snapshot.cells("cka", [0, 0]);
    expect([...(cells?.values ?? [])]).toEqual([10, 20, 20, 30]);
    expect([...(cells?.stderr ?? [])]).toEqual([1, 2, 2, 3]);
  });

  it("gives nothing for what was not sent", () => {
    expect(snapshot.cells("dcka", [0, 1])).toBeUndefined();
    expect(snapshot.cells("cka", [1, 1])).toBeUndefined();
    expect(snapshot.cells("cka", [0, 7])).toBeUndefined();
  });
});

it("transposes", () => {
  expect([...transposed(Float32Array.from([1, 2, 3, 4, 5, 6]), 2, 3)]).toEqual([1, 4, 2, 5, 3, 6]);
});
