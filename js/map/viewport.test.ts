import { beforeEach, expect, it } from "vitest";
import { Viewport } from "./viewport";

let port: Viewport;

beforeEach(() => {
  port = new Viewport();
  port.resize(100, 50);
});

it("sees everything at first, and after a reset", () => {
  expect(port.visible).toEqual({ x0: 0, x1: 50, y0: 0, y1: 100 });
  port.zoom(0.5, 0, 0);
  expect(port.whole).toBe(false);
  port.reset();
  expect(port.whole).toBe(true);
});

it("zooms about a point that stays", () => {
  port.zoom(0.5, 0.25, 0.75);
  expect(port.visible).toEqual({ x0: 6.25, x1: 31.25, y0: 37.5, y1: 87.5 });
  port.zoom(2, 0.25, 0.75);
  expect(port.visible).toEqual({ x0: 0, x1: 50, y0: 0, y1: 100 });
});

it("never leaves the map, and never sees fewer than four cells or more than all", () => {
  port.zoom(1e-9, 1, 1);
  expect(port.visible).toEqual({ x0: 46, x1: 50, y0: 96, y1: 100 });
  port.pan(5, -900);
  expect(port.visible).toEqual({ x0: 46, x1: 50, y0: 0, y1: 4 });
  port.zoom(1e9, 0.5, 0.5);
  expect(port.whole).toBe(true);
  const small = new Viewport();
  small.resize(2, 3);
  small.zoom(0.1, 0, 0);
  expect(small.visible).toEqual({ x0: 0, x1: 3, y0: 0, y1: 2 });
});

it("moves as little as needed to see a cell", () => {
  port.zoom(0.2, 0, 0);
  port.reveal(40, 3);
  expect(port.visible).toEqual({ x0: 0, x1: 10, y0: 21, y1: 41 });
  port.reveal(21, -1);
  expect(port.visible.y0).toBe(21);
});

it("keeps its part when blocks open, as far as it is there", () => {
  port.zoom(0.5, 1, 1);
  port.resize(60, 200);
  expect(port.visible).toEqual({ x0: 25, x1: 50, y0: 10, y1: 60 });
  port.reset();
  port.resize(7, 9);
  expect(port.visible).toEqual({ x0: 0, x1: 9, y0: 0, y1: 7 });
});
