/** Which of an axis' labels are drawn. */

/** The least distance of two labels in CSS pixels. */
export const LABEL_PITCH = 11;

/**
 * Positions to label so that any two are at least `LABEL_PITCH` apart: every k-th, and first of all the given ones
 * (pointed at, held), which push their close neighbours out.
 */
export function shownLabels(count: number, cell: number, first: number[] = []): number[] {
  const step = Math.max(1, Math.ceil(LABEL_PITCH / cell));
  const shown: number[] = [];
  const place = (i: number) => {
    if (shown.every((other) => Math.abs(i - other) * cell >= LABEL_PITCH)) shown.push(i);
  };
  first.filter((i) => i < count).forEach(place);
  const fixed = shown.length;
  for (let i = 0; i < count; i += step) {
    if (shown.slice(0, fixed).every((other) => Math.abs(i - other) * cell >= LABEL_PITCH)) shown.push(i);
  }
  return shown.sort((a, b) => a - b);
}

/** A name cut in its middle: the beginning says where a layer is, the end what it is. */
export function shortened(name: string, fits: (text: string) => boolean): string {
  if (fits(name)) return name;
  const letters = Array.from(name);
  for (let kept = letters.length - 1; kept > 2; kept--) {
    const head = Math.ceil(kept / 2);
    const text = `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (kept - head)).join("")}`;
    if (fits(text)) return text;
  }
  return "…";
}
