// @vitest-environment happy-dom
import { zlibSync } from "fflate";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { State, ToPython } from "./model";
import { StandIn } from "./standin";
import { Store } from "./store";

const about = { name: "cka", title: "CKA", kind: "similarity" as const, reasons: {} };
const pair = { model_x: "a", layer_x: "one", model_y: "a", layer_y: "two" };

function state(): State {
  const steps = Uint16Array.from([65534, 0, 65534, 0, 0, 0]);
  return {
    run_id: "r",
    axes: [{ model: "a", layers: ["one", "two"] }],
    run: {
      state: "running",
      n_batches: 1,
      n_batches_expected: null,
      n_samples: 64,
      rate: null,
      seconds_left: null,
      notes: [],
      error: null,
      at: Date.now() / 1000,
    },
    snapshot: zlibSync(new Uint8Array(steps.buffer)),
    snapshot_meta: {
      run_id: "r",
      seq: 2,
      measures: [about],
      blocks: [{ measure: "cka", x: 0, y: 0, offset: 0, low: 0, high: 1, error_high: 1 }],
      n_batches: 1,
      n_samples: 64,
      complete: false,
    },
    measure: "cka",
    view: [0, 0],
    selection: null,
    scale: { mode: "unit", limits: {} },
  };
}

class Recorder extends StandIn {
  sent: ToPython[] = [];
  hear: ((message: unknown, buffers: DataView[]) => void) | undefined;

  override on(event: string, call: (...args: never[]) => void): void {
    if (event === "msg:custom") this.hear = call as typeof this.hear;
    else super.on(event, call);
  }

  override send(message?: ToPython): void {
    if (message) this.sent.push(message);
  }
}

function frame(seq: number, first: number, run_id = "r") {
  const numbers = new DataView(Float32Array.from([first, 2, 3, 4]).buffer);
  const message = { type: "frame", run_id, seq, view: [0, 0], measure: "cka", shape: [2, 2], about, n_samples: 64 };
  return [message, [numbers, numbers]] as [typeof message, DataView[]];
}

let model: Recorder;
let store: Store;

beforeEach(() => {
  vi.useFakeTimers();
  model = new Recorder(state());
  store = new Store(model);
});

afterEach(() => {
  store.close();
  vi.useRealTimers();
});

it("says that it is there and what it has", () => {
  expect(model.sent).toMatchObject([{ type: "ready", run_id: "r", have_seq: 2 }]);
});

it("shows the newer of frame and snapshot", () => {
  expect([...store.cells()!.values]).toEqual([1, 0, 0, 1]);
  model.hear?.(...frame(5, 9));
  expect(store.cells()?.values[0]).toBe(9);
  model.set("snapshot_meta", { ...state().snapshot_meta, seq: 7 });
  expect(store.cells()?.values[0]).toBe(1);
});

it("drops frames of another run or shape", () => {
  model.hear?.(...frame(5, 9, "other"));
  expect(store.cells()?.values[0]).toBe(1);
  const [message, buffers] = frame(6, 9);
  model.hear?.({ ...message, shape: [3, 2] }, [...buffers]);
  expect(store.cells()?.values[0]).toBe(1);
  expect(model.sent.at(-1)).toMatchObject({ type: "need", what: "frame" });
});

it("acknowledges the latest frame once, at the latest after 250 ms", () => {
  vi.stubGlobal("requestAnimationFrame", () => 1);
  for (const seq of [5, 6, 7]) model.hear?.(...frame(seq, seq));
  vi.advanceTimersByTime(249);
  expect(model.sent.filter(({ type }) => type === "ack")).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(model.sent.filter(({ type }) => type === "ack")).toMatchObject([{ seq: 7, hidden: false }]);
  vi.unstubAllGlobals();
});

it("notices that a run has gone silent, and that it is back", () => {
  const told = vi.fn();
  store.subscribe(told);
  vi.advanceTimersByTime(5000);
  expect(store.lastHeard).toBeUndefined();
  vi.advanceTimersByTime(3000);
  expect(store.lastHeard).toBeGreaterThan(0);
  expect(told).toHaveBeenCalledTimes(1);
  model.hear?.({ type: "beat", seq: 1 }, []);
  expect(store.lastHeard).toBeUndefined();
});

it("does not wait for a run that has ended", () => {
  model.set("run", { ...state().run, state: "finished" });
  vi.advanceTimersByTime(60_000);
  expect(store.lastHeard).toBeUndefined();
});

it("asks for the held pair, and keeps only its detail", () => {
  store.set("selection", pair);
  expect(model.sent.at(-1)).toMatchObject({ type: "need", what: "detail", pair });
  model.hear?.({ type: "detail", run_id: "r", seq: 1, pair: { ...pair, layer_y: "one" }, measures: [] }, []);
  expect(store.detail).toBeUndefined();
  model.hear?.({ type: "detail", run_id: "r", seq: 1, pair, measures: [] }, []);
  expect(store.detail?.pair).toEqual(pair);
});

it("tells what a command ran into", () => {
  store.command("start");
  const { id } = model.sent.at(-1) as { id: number };
  model.hear?.({ type: "reply", id, error: "it is running" }, []);
  expect(store.trouble).toBe("it is running");
  store.command("pause");
  expect(store.trouble).toBeUndefined();
});
