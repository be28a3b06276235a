/** Which of an axis' labels are drawn. */

/** The least distance of two labels in CSS pixels. */
export const LABEL_PITCH = 11;

/**
 * Positions to label so that any two are at least `LABEL_PITCH` apart: every k-th, and always the one under the
 * pointer, which pushes its close neighbours out.
 */
export function shownLabels(count: number, cell: number, always?: number): number[] {
  const step = Math.max(1, Math.ceil(LABEL_PITCH / cell));
  const shown: number[] = [];
  for (let i = 0; i < count; i += step) shown.push(i);
  if (always === undefined) return shown;
  const apart = shown.filter((i) => i === always || Math.abs(i - always) * cell >= LABEL_PITCH);
  return apart.includes(always) ? apart : [...apart, always].sort((a, b) => a - b);
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
