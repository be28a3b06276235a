import { expect, it } from "vitest";
import { cellText, valueWithError } from "./words";

it("lets the digits follow the error", () => {
  expect(valueWithError(0.87654321, 0.012)).toBe("0.877 ± 0.012");
  expect(valueWithError(0.87654321, 0.00034)).toBe("0.87654 ± 0.00034");
  expect(valueWithError(-0.25, 0.3)).toBe("-0.25 ± 0.30");
  expect(valueWithError(0.5, NaN)).toBe("0.500, error n/a (needs 2 batches)");
});

it("says why a cell is missing", () => {
  const cells = {
    rows: ["used", "unused"],
    columns: ["used"],
    modelX: "a",
    modelY: "b",
    values: Float32Array.from([0.5, NaN]),
    stderr: Float32Array.from([0.01, NaN]),
  };
  const measure = {
    name: "cka",
    title: "CKA",
    kind: "similarity" as const,
    reasons: { a: { unused: "never ran" } },
  };
  expect(cellText(cells, measure, 0, 0)).toBe("CKA 0.500 ± 0.010");
  expect(cellText(cells, measure, 1, 0)).toBe("CKA missing: never ran");
});
