import { expect, it } from "vitest";
import type { Cells } from "../state/snapshot";
import { csvOf, fileName } from "./downloads";

it("writes every cell with every measure, and nothing that a spreadsheet would run", () => {
  const x = { model: "=1+1", layers: ['a "b", c'], kinds: [""] };
  const y = { model: "y", layers: ["@sum", "d"], kinds: ["", ""] };
  const cells = (name: string, values: number[]) =>
    ({ about: { name }, values: Float32Array.from(values), stderr: Float32Array.from([0.125, NaN]) }) as Cells;
  const rows = csvOf(x, y, [cells("cka", [0.5, -0.25]), cells("dcka", [NaN, 1])]).split("\r\n");
  expect(rows).toEqual([
    "model_x,layer_x,model_y,layer_y,cka,cka_stderr,dcka,dcka_stderr",
    `'=1+1,"a ""b"", c",y,'@sum,0.5,0.125,,0.125`,
    `'=1+1,"a ""b"", c",y,d,-0.25,,1,`,
    "",
  ]);
});

it("names files after the models, whatever these are called", () => {
  expect(fileName(["seed 0", "seed 1"], "png")).toBe("seed_0-seed_1.png");
  expect(fileName(["../<img src=x>", "שלום"], "csv")).toBe(".._img_src_x_-שלום.csv");
  expect(fileName([], "svg")).toBe("similarity.svg");
});
