/** Making elements. Text is always text: a layer may be called anything. */

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

export function svg(tag: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.textContent = text;
  return element;
}
