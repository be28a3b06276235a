// @vitest-environment happy-dom
import { zlibSync } from "fflate";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ToPython, WidgetState } from "./model";
import { StandIn } from "./offline_model";
import { Store } from "./store";

const about = { name: "cka", title: "CKA", kind: "similarity" as const, reasons: {} };
const pair = { model_x: "a", layer_x: "one", model_y: "a", layer_y: "two" };

function state(): WidgetState {
  // steps 65534, 0, 65534, and no errors
  const steps = Uint8Array.from([254, 0, 254, 255, 0, 255, 0, 0, 0, 0, 0, 0]);
  return {
    run_id: "r",
    axes: [{ model: "a", layers: ["one", "two"], kinds: ["Linear", "Linear"] }],
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
    snapshot: zlibSync(steps),
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
    shows: "values",
    selection: null,
    pinned: [],
    open_x: {},
    open_y: {},
    scale: { mode: "unit", limits: {}, palette: "magma" },
    threshold: 0.02,
  };
}

class Recorder extends StandIn {
  sent: ToPython[] = [];
  hear: ((message: unknown, buffers: DataView[]) => void) | undefined;
  restart: (() => void) | undefined;

  override on(event: string, call: (...args: never[]) => void): void {
    if (event === "msg:custom") this.hear = call as typeof this.hear;
    else if (event === "comm_live_update") this.restart = call;
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
  const listener = vi.fn();
  store.subscribe(listener);
  vi.advanceTimersByTime(5000);
  expect(store.lastHeard).toBeUndefined();
  vi.advanceTimersByTime(3000);
  expect(store.lastHeard).toBeGreaterThan(0);
  expect(listener).toHaveBeenCalledTimes(1);
  model.hear?.({ type: "beat", seq: 1 }, []);
  expect(store.lastHeard).toBeUndefined();
});

it("asks a silent kernel again, ever more rarely, for what it has missed", () => {
  const asked = () => model.sent.filter(({ type }) => type === "ready").length;
  model.hear?.(...frame(5, 9));
  vi.advanceTimersByTime(6000);
  expect(asked()).toBe(1);
  vi.advanceTimersByTime(2000);
  expect(model.sent.at(-1)).toMatchObject({ type: "ready", run_id: "r", have_seq: 5 });
  vi.advanceTimersByTime(60_000 - 8000);
  expect(asked()).toBe(1 + 3);
  vi.advanceTimersByTime(3_600_000);
  expect(asked()).toBeLessThan(70);
  const before = asked();
  model.hear?.({ type: "beat", seq: 1 }, []);
  vi.advanceTimersByTime(5000);
  expect(asked()).toBe(before);
  vi.advanceTimersByTime(3000);
  expect(asked()).toBe(before + 1);
});

it("knows that its kernel was restarted, whatever the run, and sends nothing to the new one", async () => {
  const listener = vi.fn();
  store.subscribe(listener);
  model.set("run", { ...state().run, state: "finished" });
  expect([store.kernelGone, store.lastHeard]).toEqual([false, undefined]);
  listener.mockClear();
  model.restart?.();
  expect(listener).toHaveBeenCalledTimes(1);
  expect(store.kernelGone).toBe(true);
  expect(store.lastHeard).toBeGreaterThan(0);
  const n = model.sent.length;
  store.set("selection", pair);
  store.command("stop");
  await expect(store.fetch("csv")).rejects.toThrow("restarted");
  vi.advanceTimersByTime(60_000);
  expect(model.sent.length).toBe(n);
  expect([...store.cells()!.values]).toEqual([1, 0, 0, 1]);
});

it("does not wait for a run that has ended", () => {
  model.set("run", { ...state().run, state: "finished" });
  vi.advanceTimersByTime(60_000);
  expect(store.lastHeard).toBeUndefined();
});

const inside = {
  size: 1,
  n_samples: 64,
  labels: [3],
  spectrum_x: [1],
  spectrum_y: [1],
  dimension_x: 1,
  dimension_y: 1,
  n_compared: 64,
  least: [],
  most: [],
  thumbnail: null,
};

function detail(of: typeof pair, seq: number, given: typeof inside | null) {
  const gram = (value: number) => new DataView(Float32Array.from([value]).buffer);
  const message = { type: "detail", run_id: "r", seq, pair: of, measures: [], inside: given };
  return [message, given ? [gram(seq), gram(2), new DataView(new ArrayBuffer(0))] : []] as const;
}

it("asks for the held and the pinned pairs, and keeps the detail of each", () => {
  const other = { ...pair, layer_y: "one" };
  store.set("selection", pair);
  store.set("pinned", [other]);
  expect(model.sent.slice(-2)).toMatchObject([
    { type: "need", what: "detail", pair },
    { type: "need", what: "detail", pair: other },
  ]);
  model.hear?.(detail(other, 1, null)[0], []);
  expect(store.detail(pair)).toBeUndefined();
  const [message, buffers] = detail(pair, 4, inside);
  model.hear?.(message, [...buffers]);
  expect(store.detail(pair)?.inside?.gramX[0]).toBe(4);
  expect(store.detail(other)).toMatchObject({ seq: 1, inside: null });
  expect(store.detail(null)).toBeUndefined();
});

it("keeps the insides when the next detail of the pair comes without them", () => {
  const [message, buffers] = detail(pair, 4, inside);
  model.hear?.(message, [...buffers]);
  model.hear?.(detail(pair, 5, null)[0], []);
  expect(store.detail(pair)).toMatchObject({ seq: 5, inside: { n_compared: 64 } });
  model.hear?.({ ...message, run_id: "another" }, [...buffers]);
  expect(store.detail(pair)?.seq).toBe(5);
});

it("forgets the pairs whose details are the oldest", () => {
  for (let k = 0; k < 12; k++) model.hear?.(detail({ ...pair, layer_y: `layer${k}` }, k, null)[0], []);
  expect(store.detail({ ...pair, layer_y: "layer0" })).toBeUndefined();
  expect(store.detail({ ...pair, layer_y: "layer11" })).toBeDefined();
});

it("fetches a file, and says why there is none", async () => {
  const file = store.fetch("csv");
  const { id, client } = model.sent.at(-1) as { id: number; client: string };
  const fetched = { type: "fetched", client, id, name: "a.csv", mime: "text/csv", error: null };
  model.hear?.({ ...fetched, client: "another page" }, [new DataView(new ArrayBuffer(9))]);
  model.hear?.(fetched, [new DataView(new TextEncoder().encode("x,y").buffer)]);
  expect(await (await file).text()).toBe("x,y");
  expect((await file).name).toBe("a.csv");
  const failing = store.fetch("simw");
  const failed = model.sent.at(-1) as { id: number };
  model.hear?.({ ...fetched, id: failed.id, error: "no room" }, []);
  await expect(failing).rejects.toThrow("no room");
  const silent = store.fetch("html");
  vi.advanceTimersByTime(31_000);
  await expect(silent).rejects.toThrow("kernel");
});

it("tells what a command ran into", () => {
  store.command("start");
  const { id } = model.sent.at(-1) as { id: number };
  model.hear?.({ type: "reply", id, error: "it is running" }, []);
  expect(store.error).toBe("it is running");
  store.command("pause");
  expect(store.error).toBeUndefined();
});
