/** Files that the page itself makes: their names, their tables, and how the browser saves them. */

import type { Axis } from "../state/model";
import type { Cells } from "../state/snapshot";

export function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // the browser has read the file by then
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A file name from the models' names, without characters that a file system may refuse. */
export function fileName(models: string[], ending: string): string {
  const name = models
    .join("-")
    .replace(/[^\p{L}\p{N}._-]+/gu, "_")
    .slice(0, 80);
  return `${name || "similarity"}.${ending}`;
}

/** A CSV table, for pages without a kernel: one line for each pair of layers, with every measure and its error. */
export function csvOf(x: Axis, y: Axis, measures: Cells[]): string {
  const head = ["model_x", "layer_x", "model_y", "layer_y"];
  const lines = [[...head, ...measures.flatMap(({ about }) => [about.name, `${about.name}_stderr`])]];
  const number = (value: number | undefined) =>
    value === undefined || Number.isNaN(value) ? "" : String(Number(value.toPrecision(7)));
  x.layers.forEach((layerX, i) =>
    y.layers.forEach((layerY, j) => {
      const at = i * y.layers.length + j;
      const numbers = measures.flatMap(({ values, stderr }) => [number(values[at]), number(stderr[at])]);
      lines.push([...[x.model, layerX, y.model, layerY].map(withoutFormula), ...numbers]);
    }),
  );
  return lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}

/** The name, with a quote before it if a spreadsheet would run it as a formula. */
function withoutFormula(name: string): string {
  return /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replace(/"/g, '""')}"` : field;
}
