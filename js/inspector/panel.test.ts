// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Selection } from "../state/model";
import type { PairDetail } from "../state/latest_numbers";
import type { Store } from "../state/store";
import { Panel, whyNothing } from "./panel";

const pair = (x: string, y: string): Selection => ({ model_x: "a", layer_x: x, model_y: "b", layer_y: y });
const measures = ["cka", "dcka"].map((name) => ({
  name,
  title: name,
  kind: "similarity",
  reasons: { a: { two: "never ran" } },
}));

function answerOf(value: number, inside = false): PairDetail {
  const curve = { n_batches: [1, 2], values: [0.5, value], stderr: [null, 0.01] };
  const sample = { index: 3, label: 1, value: -0.25 };
  return {
    seq: 1,
    measures: measures.map(({ name }) => ({ name, value, stderr: 0.01, curve })),
    inside: inside
      ? {
          size: 2,
          n_samples: 2,
          labels: [0, 1],
          gramX: Float32Array.from([1, 0, 0, 1]),
          gramY: Float32Array.from([1, 0, 0, 1]),
          spectrum_x: [0.6, 0.4],
          spectrum_y: [0.7, 0.3],
          dimension_x: 1.9,
          dimension_y: 1.7,
          n_compared: 1320,
          least: [sample],
          most: [{ ...sample, index: 4, value: 1 }],
          thumbnail: null,
          thumbnails: new Uint8Array(),
        }
      : null,
  };
}

const state: Record<string, unknown> = {};
const answers = new Map<string, PairDetail>();
const cells = vi.fn((name: string) => ({
  about: measures.find((one) => one.name === name),
  columns: ["one", "two"],
  values: Float32Array.from([0.5, NaN, 0.25, NaN]),
  stderr: Float32Array.from([0.01, NaN, 0.01, NaN]),
}));
const store = {
  get: (name: string) => state[name],
  set: (name: string, value: unknown) => {
    state[name] = value;
    panel.show();
  },
  detail: (one: Selection | null) => (one ? answers.get(JSON.stringify(one)) : undefined),
  snapshot: { meta: { measures }, about: (name: string) => measures.find((one) => one.name === name) },
  cells,
};
let panel: Panel;

const find = <T extends HTMLElement>(selector: string) => panel.element.querySelector<T>(selector)!;
const texts = (selector: string) => [...panel.element.querySelectorAll(selector)].map((one) => one.textContent);
const answer = (one: Selection, what: PairDetail) => {
  answers.set(JSON.stringify(one), what);
  panel.show();
};

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(state, {
    selection: pair("one", "one"),
    pinned: [],
    measure: "cka",
    run: { state: "running", n_batches_expected: 8 },
    axes: [
      { model: "a", layers: ["one", "two"] },
      { model: "b", layers: ["one", "two"] },
    ],
  });
  answers.clear();
  cells.mockClear();
  panel = new Panel(store as unknown as Store);
  document.body.replaceChildren(panel.element);
  panel.show();
});

afterEach(() => {
  panel.close();
  vi.useRealTimers();
});

it("shows the saved numbers until Python answers, and reads them once", () => {
  expect(texts(".numbers dd")).toEqual(["0.500 ± 0.010", "0.500 ± 0.010"]);
  panel.show();
  expect(cells).toHaveBeenCalledTimes(2);
  answer(pair("one", "one"), answerOf(0.75));
  expect(texts(".numbers dd")).toEqual(["0.750 ± 0.010", "0.750 ± 0.010"]);
  expect(cells).toHaveBeenCalledTimes(2);
});

it("says why a number is missing", () => {
  store.set("selection", pair("two", "two"));
  expect(texts(".numbers dd")[0]).toContain("two: never ran");
});

it("keeps its elements when new numbers come, and touches nothing when none do", () => {
  answer(pair("one", "one"), answerOf(0.75, true));
  const all = [...panel.element.querySelectorAll("button, dt, dd, li, section, canvas, h4")];
  expect(all.length).toBeGreaterThan(15);
  answer(pair("one", "one"), answerOf(0.76, true));
  expect([...panel.element.querySelectorAll("button, dt, dd, li, section, canvas, h4")]).toEqual(all);
  const changes: MutationRecord[] = [];
  const observer = new MutationObserver((records) => changes.push(...records));
  observer.observe(panel.element, { subtree: true, childList: true, attributes: true, characterData: true });
  panel.show();
  changes.push(...observer.takeRecords());
  observer.disconnect();
  expect(changes).toEqual([]);
});

it("shows what the layers make of the samples, least and most agreed", () => {
  answer(pair("one", "one"), answerOf(0.75, true));
  expect(texts("h4")).toEqual(["Convergence", "Gram matrices, by label", "Spectrum", "Samples they agree on"]);
  expect(find(".dimension").textContent).toBe("effective dimension 1.9 / 1.7");
  expect(texts(".chip")).toEqual(["−0.25#3label 1"]);
  find(".segments button:last-child").click();
  expect(texts(".chip")).toEqual(["1.00#4label 1"]);
  expect(find(".samples .below").textContent).toBe("of 1,320 samples since this pair was held");
  expect(find(".note").hidden).toBe(true);
});

it("keeps the sections' places while an answer is awaited, and says so if none comes", () => {
  answer(pair("one", "one"), answerOf(0.75, true));
  store.set("selection", pair("one", "two"));
  expect(find(".grams").hidden).toBe(false);
  expect(find(".grams").classList.contains("awaited")).toBe(true);
  expect(find(".note").hidden).toBe(true);
  vi.advanceTimersByTime(1000);
  expect(find(".grams").hidden).toBe(true);
  expect(find(".note").textContent).toBe(whyNothing("running", false));
  answer(pair("one", "two"), answerOf(0.5, true));
  expect(find(".grams").hidden).toBe(false);
  expect(find(".grams").classList.contains("awaited")).toBe(false);
});

it("promises nothing of a kernel that is silent or gone", () => {
  const kernel = store as { kernelGone?: boolean; lastHeard?: number };
  store.set("selection", pair("one", "two"));
  vi.advanceTimersByTime(1000);
  kernel.lastHeard = 1;
  panel.show();
  expect(find(".note").textContent).toContain("when the kernel is heard again");
  kernel.kernelGone = true;
  panel.show();
  expect(find(".note").textContent).toContain("was restarted");
  delete kernel.kernelGone;
  delete kernel.lastHeard;
});

it("leaves no timer behind", () => {
  expect(vi.getTimerCount()).toBe(1);
  panel.close();
  expect(vi.getTimerCount()).toBe(0);
});

it("compares the shown measure of the pinned pairs and the held one", () => {
  answer(pair("one", "one"), answerOf(0.75));
  find(".pin-toggle").click();
  expect(state.pinned).toEqual([pair("one", "one")]);
  expect(find(".pin-toggle").getAttribute("aria-pressed")).toBe("true");
  answer(pair("two", "one"), answerOf(0.6));
  store.set("selection", pair("two", "one"));
  expect(texts("h4")[0]).toBe("Convergence of cka");
  expect(find(".curves").getAttribute("aria-label")).toMatch(/1, a › one × b › one: 0.750 .*; held: 0.600/);
  expect(texts(".pins .number")).toEqual(["0.750 ± 0.010"]);
  find(".pins .hold").click();
  expect(state.selection).toEqual(pair("one", "one"));
  expect(find(".pins .hold").getAttribute("aria-current")).toBe("true");
  expect(panel.element.querySelectorAll(".curves .value").length).toBe(1);
});

it("pins four pairs, then says why it pins no more", () => {
  const pinned = ["1", "2", "3", "4"].map((name) => pair(name, name));
  store.set("pinned", pinned);
  const toggle = find<HTMLButtonElement>(".pin-toggle");
  expect(toggle.getAttribute("aria-disabled")).toBe("true");
  expect(toggle.title).toContain("unpin one");
  expect(find(".full").hidden).toBe(false);
  toggle.click();
  expect(state.pinned).toBe(pinned);
  store.set("selection", pinned[2]);
  expect(toggle.getAttribute("aria-disabled")).toBeNull();
  expect(find(".full").hidden).toBe(true);
});

it("goes on at the next pair when one is unpinned by keyboard", () => {
  store.set(
    "pinned",
    ["1", "2", "3"].map((name) => pair(name, name)),
  );
  const [, second, third] = panel.element.querySelectorAll<HTMLButtonElement>(".unpin");
  second!.focus();
  second!.click();
  expect(document.activeElement).toBe(third);
  expect(third!.getAttribute("aria-label")).toBe("Unpin pair 2");
});

it("lets the pair go by button and Escape, and keeps the keyboard", () => {
  find(".release").focus();
  find(".release").click();
  expect(state.selection).toBeNull();
  expect(document.activeElement).toBe(panel.element);
  expect([find(".hint").hidden, find(".numbers").hidden, find(".convergence").hidden]).toEqual([false, true, true]);
  store.set("selection", pair("one", "one"));
  panel.element.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  expect(state.selection).toBeNull();
});

it("tells saved results from runs that go on", () => {
  expect(whyNothing("finished", false)).toBe("The curves and Gram matrices of a saved result are not kept.");
  expect(whyNothing("paused", true)).toContain("when the run goes on");
});
