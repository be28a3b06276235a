/** Functions that make HTML and SVG elements. Strings become text nodes, never markup: a layer may have any name. */

/** An HTML element with a class and its content. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name = "",
  ...content: (string | Node)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = name;
  element.append(...content);
  return element;
}

/** An SVG element with its attributes and perhaps a text. */
export function svg(tag: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.textContent = text;
  return element;
}
