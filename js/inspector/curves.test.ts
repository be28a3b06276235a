// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { Curves, hasValues, type Line, pointsOf } from "./curves";

const curve = (...values: (number | null)[]) => ({
  n_batches: values.map((_, k) => k + 1),
  values,
  stderr: values.map((_, k) => (k ? 0.01 : null)),
});

it("leaves moments without a number out of the line", () => {
  expect(pointsOf({ n_batches: [1, 2, 3], values: [null, 0.5, 0.6], stderr: [null, null, 0.1] })).toEqual([
    { batch: 2, value: 0.5, error: NaN },
    { batch: 3, value: 0.6, error: 0.1 },
  ]);
  expect(hasValues(curve(null, null))).toBe(false);
  expect(hasValues(curve(null, 0))).toBe(true);
});

it("draws lines with direct labels that do not touch, and says the numbers", () => {
  const curves = new Curves();
  const lines: Line[] = [
    { title: "a × b", curve: curve(0.8, 0.9), tone: 1, badge: "1" },
    { title: "c × d", curve: curve(0.8, 0.9), tone: 2, badge: "2" },
    { title: "held", curve: curve(0.8, 0.901), tone: 0, strong: true },
    { title: "nothing yet", curve: curve(null), tone: 3, badge: "3" },
  ];
  curves.show(lines, "similarity", 8, 300);
  expect(curves.element.querySelectorAll("path.value").length).toBe(3);
  expect(curves.element.innerHTML).not.toMatch(/NaN|undefined/);
  const heights = [...curves.element.querySelectorAll(".badge circle")].map((one) => Number(one.getAttribute("cy")));
  heights.push(Number(curves.element.querySelector("text.name")?.getAttribute("y")) - 4);
  heights.sort((a, b) => a - b);
  for (const [k, height] of heights.entries())
    if (k) expect(height - heights[k - 1]!).toBeGreaterThanOrEqual(17 - 1e-9);
  expect(curves.element.getAttribute("aria-label")).toBe(
    "Convergence at batch 2 of 8. 1, a × b: 0.900 ± 0.010; 2, c × d: 0.900 ± 0.010; held: 0.901 ± 0.010",
  );
});

it("draws nothing twice", () => {
  const curves = new Curves();
  const lines = [{ title: "CKA", curve: curve(0.8, 0.9), tone: 1 }];
  curves.show(lines, "similarity", null, 300);
  const drawn = curves.element.firstChild;
  curves.show([...lines], "similarity", null, 300);
  expect(curves.element.firstChild).toBe(drawn);
  curves.show([{ ...lines[0]!, curve: curve(0.8, 0.9, 0.9) }], "similarity", null, 300);
  expect(curves.element.firstChild).not.toBe(drawn);
});
