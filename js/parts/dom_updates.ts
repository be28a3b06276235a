/**
 * Functions that change an element only if it does not show the new value already. New numbers come up to ten times a
 * second, and a needless change costs time, loses the keyboard focus, and makes screen readers repeat themselves.
 */

/** Remembers the values that were drawn last. */
export class ChangeDetector {
  #last: readonly unknown[] | undefined;

  /** Whether any value is not identical to that of the last call, position by position. */
  differs(...values: unknown[]): boolean {
    const last = this.#last;
    this.#last = values;
    return last?.length !== values.length || values.some((value, k) => !Object.is(value, last[k]));
  }
}

/** Set the text; an equal text stays the same node. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute, or remove it for null; an equal value is not written again. */
export function setAttribute(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export function setHidden(element: Element, hidden: boolean): void {
  setAttribute(element, "hidden", hidden ? "" : null);
}

/** Add or remove a class. */
export function setClass(element: Element, name: string, on: boolean): void {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}
