/** Where the keyboard is. */

/** The focused element within one, also where the page keeps it in a shadow tree. */
export function focusWithin(element: HTMLElement): Element | null {
  const root = element.getRootNode();
  const focused = "activeElement" in root ? (root as Document | ShadowRoot).activeElement : null;
  return focused && element.contains(focused) ? focused : null;
}
