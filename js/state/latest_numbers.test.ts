import { zlibSync } from "fflate";
import { expect, it } from "vitest";
import type { Frame, WidgetState } from "./model";
import { LatestNumbers } from "./latest_numbers";
import type { SharedSettings } from "./shared_settings";

const about = { name: "cka", title: "CKA", kind: "similarity" as const, reasons: {} };
const state = {
  run_id: "r",
  axes: [{ model: "a", layers: ["one"], kinds: [""] }],
  snapshot: zlibSync(Uint8Array.from([254, 255, 0, 0])),
  snapshot_meta: {
    run_id: "r",
    seq: 3,
    measures: [about],
    blocks: [{ measure: "cka", x: 0, y: 0, offset: 0, low: 0, high: 1, error_high: 1 }],
    n_batches: 1,
    n_samples: 64,
    complete: true,
  },
} as Partial<WidgetState> as WidgetState;
const settings: Pick<SharedSettings, "get"> = { get: (name) => state[name] };
const float = (value: number) => new DataView(Float32Array.from([value]).buffer);

function frame(seq: number, shape: [number, number] = [1, 1]): Frame {
  return { type: "frame", run_id: "r", seq, view: [0, 0], measure: "cka", shape, about, n_batches: 1, n_samples: 64 };
}

it("gives the saved numbers where there is no connection at all", () => {
  const numbers = new LatestNumbers(settings);
  expect(numbers.cells("cka", [0, 0])?.values[0]).toBe(1);
  expect(numbers.latestSeq).toBe(3);
  expect(numbers.detail(null)).toBeUndefined();
});

it("prefers a frame that is newer than the snapshot, and refuses one of another shape", () => {
  const numbers = new LatestNumbers(settings);
  expect(numbers.takeFrame(frame(5, [2, 1]), [float(0.25), float(0)])).toBe(false);
  expect(numbers.latestSeq).toBe(3);
  expect(numbers.takeFrame(frame(5), [float(0.25), float(0)])).toBe(true);
  expect([numbers.cells("cka", [0, 0])?.values[0], numbers.latestSeq]).toEqual([0.25, 5]);
  expect(numbers.takeFrame(frame(2), [float(0.5), float(0)])).toBe(true);
  expect(numbers.cells("cka", [0, 0])?.values[0]).toBe(1);
});
