/** The map as an SVG or PNG file: lines and texts as vectors, all cells as one image. */

import type { Colouring } from "../map/palette";
import type { Plot } from "../map/plot";
import { svg } from "../parts/dom";

/** The styles that are copied from the page's style sheet into the elements, since the file has no style sheet. */
const STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "opacity",
] as const;
const LETTERS = ["font-family", "font-size", "font-weight", "text-anchor"] as const;
const [TITLE, LEGEND, EDGE] = [26, 40, 12];

export interface Caption {
  title: string;
  colours: Colouring;
  /** what the colours show */
  legend: string;
}

/** An SVG document of what the map shows now. */
export function svgOf(plot: Plot, { title, colours, legend }: Caption): string {
  const { element, layout } = plot;
  if (!layout) throw new Error("there is nothing to draw yet");
  const { color, backgroundColor } = getComputedStyle(element.closest(".box") ?? element);
  const [width, height] = [element.clientWidth + 2 * EDGE, element.clientHeight + TITLE + LEGEND + EDGE];
  const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` });
  root.append(svg("rect", { width, height, fill: backgroundColor }));
  const letters = { "font-family": "system-ui, sans-serif", fill: color };
  root.append(svg("text", { x: EDGE, y: 19, "font-size": 14, "font-weight": 600, ...letters }, title));
  const map = svg("g", { transform: `translate(${EDGE} ${TITLE})` });
  const { left: x, top: y, width: wide, height: tall } = layout;
  map.append(svg("image", { x, y, width: wide, height: tall, preserveAspectRatio: "none", href: cellsUrl(plot) }));
  const overlay = element.querySelector<SVGElement>("svg.overlay");
  if (overlay) {
    const copy = overlay.cloneNode(true) as SVGElement;
    inlineStyles(overlay, copy);
    copy.setAttribute("width", String(element.clientWidth));
    copy.setAttribute("height", String(element.clientHeight));
    map.append(copy);
  }
  root.append(map, colourBar(colours, legend, letters, height));
  return new XMLSerializer().serializeToString(root);
}

/** The colour scale with its ticks. */
function colourBar(
  { colours, ticks }: Colouring,
  legend: string,
  letters: Record<string, string>,
  height: number,
): SVGElement {
  const [left, top, wide] = [EDGE, height - LEGEND + 6, 200];
  const box = svg("g", { "font-size": 11, ...letters });
  const fills = svg("linearGradient", { id: "colours" });
  for (let i = 0; i <= 32; i++) {
    const [r, g, b] = colours[Math.round((i * (colours.length - 1)) / 32)] ?? [0, 0, 0];
    fills.append(svg("stop", { offset: i / 32, "stop-color": `rgb(${r},${g},${b})` }));
  }
  box.append(fills, svg("rect", { x: left, y: top, width: wide, height: 9, fill: "url(#colours)" }));
  for (const { at, text } of ticks) {
    const anchor = at < 0.02 ? "start" : at > 0.98 ? "end" : "middle";
    box.append(svg("text", { x: left + at * wide, y: top + 22, "text-anchor": anchor }, text));
  }
  box.append(svg("text", { x: left + wide + 14, y: top + 9 }, legend));
  return box;
}

/** An image of the visible cells with their hatching, as a data URL: pixel by pixel as on the screen, not smoothed. */
function cellsUrl({ element, layout }: Plot): string {
  const { left, top, width, height } = layout!;
  const picture = document.createElement("canvas");
  const layers = [...element.querySelectorAll("canvas")];
  const ratio = (layers[0]?.width ?? 1) / (element.clientWidth || 1);
  [picture.width, picture.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = picture.getContext("2d");
  for (const one of layers) context?.drawImage(one, -left * ratio, -top * ratio);
  return picture.toDataURL("image/png");
}

function inlineStyles(from: Element, to: Element): void {
  const styles = getComputedStyle(from);
  const drawing = /^(path|rect|circle|text|tspan)$/.test(from.tagName);
  if (drawing) for (const name of STYLES) to.setAttribute(name, styles.getPropertyValue(name));
  if (/^(text|tspan)$/.test(from.tagName)) {
    for (const name of LETTERS) to.setAttribute(name, styles.getPropertyValue(name));
  }
  to.removeAttribute("class");
  [...from.children].forEach((child, i) => {
    const copy = to.children[i];
    if (copy) inlineStyles(child, copy);
  });
}

/** A PNG of an SVG document, `scale` times as wide and high in pixels. */
export async function pngOf(svg: string, scale = 2): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width * scale, image.height * scale];
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the browser made no picture"))), "image/png"),
  );
}
