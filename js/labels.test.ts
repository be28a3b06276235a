import { expect, it } from "vitest";
import { LABEL_PITCH, shortened, shownLabels } from "./labels";

it("labels every cell when there is room", () => {
  expect(shownLabels(4, 20)).toEqual([0, 1, 2, 3]);
});

it("keeps labels apart, with and without a chosen one", () => {
  for (const cell of [0.4, 1, 3, 7.5, 11]) {
    for (const always of [[], [0], [13], [99], [13, 60]]) {
      const shown = shownLabels(100, cell, always);
      const gaps = shown.slice(1).map((i, k) => (i - (shown[k] ?? 0)) * cell);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(LABEL_PITCH);
      for (const one of always) expect(shown).toContain(one);
    }
  }
});

it("cuts names in their middle", () => {
  const fits = (text: string) => text.length <= 9;
  expect(shortened("short", fits)).toBe("short");
  expect(shortened("layer4.1.downsample.0", fits)).toBe("laye…le.0");
});
