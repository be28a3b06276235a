/** Which element has the keyboard focus. */

/** The focused element inside `element`, or null; it is found inside a shadow tree too. */
export function focusWithin(element: HTMLElement): Element | null {
  const root = element.getRootNode();
  const focused = "activeElement" in root ? (root as Document | ShadowRoot).activeElement : null;
  return focused && element.contains(focused) ? focused : null;
}
