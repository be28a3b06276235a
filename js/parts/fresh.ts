/** Doing nothing where nothing is new: frames come ten times a second, and most of a page stays as it is. */

/** Remembers what was drawn. */
export class Fresh {
  #last: readonly unknown[] | undefined;

  /** Whether anything differs from the last call's values, each taken for itself. */
  differs(...values: unknown[]): boolean {
    const last = this.#last;
    this.#last = values;
    return last?.length !== values.length || values.some((value, k) => !Object.is(value, last[k]));
  }
}

/** Set a text; one that is there already stays the same node. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute, or take it away; one that is so already is not written again. */
export function setAttribute(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export function setHidden(element: Element, hidden: boolean): void {
  setAttribute(element, "hidden", hidden ? "" : null);
}

/** Give a class, or take it. */
export function setClass(element: Element, name: string, on: boolean): void {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}
