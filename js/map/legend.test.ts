// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Scale } from "../state/model";
import { Legend } from "./legend";
import { colourNumbers } from "./palette";
import type { Scene } from "./scene";

// the one constructor that happy-dom lacks
beforeEach(() => void vi.stubGlobal("Option", optionOf));
afterEach(() => void vi.unstubAllGlobals());

it.each(["cka", "__proto__", "constructor"])("freezes the range of a measure named %s", (name) => {
  let scale: Scale = { mode: "unit", limits: {}, palette: "magma" };
  const legend = new Legend({ scale: () => scale, choose: (chosen) => (scale = chosen), threshold: () => undefined });
  const source = { name, kind: "similarity" as const };
  const shown = Float32Array.from([0.25, 0.5]);
  legend.show({ shown, source, ...colourNumbers(shown, source, scale) } as Scene, scale, 0.02);
  [...legend.element.querySelectorAll("button")].find((one) => one.textContent === "this range")!.click();
  expect(scale.mode).toBe("range");
  expect(JSON.stringify(scale.limits)).toBe(`{"${name}":[0.25,0.5]}`);
});

function optionOf(text: string): HTMLOptionElement {
  const option = document.createElement("option");
  option.text = text;
  return option;
}
