// @vitest-environment happy-dom
import { expect, it } from "vitest";
import type { Store } from "../state/store";
import { Progress } from "./run_controls";

it("says aloud only what is news", () => {
  const run = { state: "running", n_batches: 0, n_batches_expected: 50, n_samples: 0, rate: null, seconds_left: null };
  const store = { get: () => run, cells: () => undefined, lastHeard: undefined, error: undefined };
  const progress = new Progress(store as unknown as Store);
  const said: (string | null)[] = [];
  const aloud = progress.element.querySelector("[role=status]")!;
  for (let batch = 0; batch <= 12; batch++) {
    run.n_batches = batch;
    progress.show();
    if (said.at(-1) !== aloud.textContent) said.push(aloud.textContent);
  }
  run.state = "paused";
  progress.show();
  said.push(aloud.textContent);
  expect(said).toEqual(["Waiting for the loader", "Batch 5 of 50", "Batch 10 of 50", "Paused at batch 12 of 50"]);
  expect(progress.element.querySelector(".where")?.textContent).toBe("Paused at batch 12 of 50");
});

it("says since when the kernel is silent, and offers nothing that a kernel would have to do when it is gone", () => {
  const run = { state: "running", n_batches: 3, n_batches_expected: 50, n_samples: 9, rate: 7, seconds_left: 9 };
  const store = {
    get: () => run,
    cells: () => undefined,
    lastHeard: undefined,
    kernelGone: false,
    error: "",
  } as Record<string, unknown>;
  const progress = new Progress(store as unknown as Store);
  const heard = () => {
    progress.show();
    return progress.element.querySelector(".heard")!.textContent;
  };
  const buttons = () => [...progress.element.querySelectorAll("button")].length;
  const pace = () => progress.element.querySelector(".pace")!.textContent;
  expect([heard(), pace(), buttons()]).toEqual(["", "9 samples  7 samples/s  0:09 left", 2]);
  store.error = "no room";
  expect(heard()).toBe("no room");
  store.lastHeard = new Date(2026, 0, 1, 12, 30, 5).getTime();
  expect(heard()).toMatch(/^last heard at .*30.05.*; no room$/);
  expect([pace(), buttons()]).toEqual(["9 samples", 2]); // nobody knows how fast it is now
  Object.assign(store, { kernelGone: true, error: undefined });
  expect(heard()).toMatch(/^last heard at .*30.05.*, the kernel was restarted$/);
  expect(buttons()).toBe(0);
});
