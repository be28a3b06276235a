// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { Progress } from "./progress";
import type { Store } from "./store";

it("says aloud only what is news", () => {
  const run = { state: "running", n_batches: 0, n_batches_expected: 50, n_samples: 0, rate: null, seconds_left: null };
  const store = { get: () => run, cells: () => undefined, lastHeard: undefined, trouble: undefined };
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
