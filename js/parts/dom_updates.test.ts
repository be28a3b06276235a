// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { ChangeDetector, setAttribute, setText } from "./dom_updates";

it("knows what has been drawn", () => {
  const fresh = new ChangeDetector();
  const data = [1];
  expect(fresh.differs(data, 3, NaN)).toBe(true);
  expect(fresh.differs(data, 3, NaN)).toBe(false);
  expect(fresh.differs([1], 3, NaN)).toBe(true);
  expect(fresh.differs()).toBe(true);
  expect(fresh.differs()).toBe(false);
});

it("leaves what is so already alone", () => {
  const element = document.createElement("p");
  setText(element, "a");
  const node = element.firstChild;
  setText(element, "a");
  expect(element.firstChild).toBe(node);
  setAttribute(element, "title", "b");
  expect(element.title).toBe("b");
  setAttribute(element, "title", null);
  expect(element.hasAttribute("title")).toBe(false);
});
