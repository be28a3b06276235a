/** Widths of text in pixels, and names shortened to fit a width. */

export const FONT_SIZE = 11;
const FAMILY = "ui-sans-serif, system-ui, sans-serif";
/** The least distance, in CSS pixels, at which two lines of labels do not overlap. */
export const LABEL_PITCH = 13;

/** Measures text in the map's font, and remembers all widths, since measuring is slow. */
export class TextWidths {
  #context = document.createElement("canvas").getContext("2d");
  #widths = new Map<string, number>();
  #cut = new Map<string, string>();

  width(text: string, bold = false): number {
    const key = (bold ? "b" : "n") + text;
    let width = this.#widths.get(key);
    if (width === undefined) {
      if (this.#widths.size > 20_000) this.#widths.clear();
      if (this.#context) this.#context.font = `${bold ? "600 " : ""}${FONT_SIZE}px ${FAMILY}`;
      width = this.#context?.measureText(text).width ?? 6.5 * text.length;
      this.#widths.set(key, width);
    }
    return width;
  }

  /** The name, shortened if it is wider than `room` pixels: to both its ends, or only to its last letters. */
  cut(name: string, room: number, bold = false, kept: "ends" | "last" = "ends"): string {
    const key = `${bold} ${kept} ${Math.round(room)} ${name}`;
    let text = this.#cut.get(key);
    if (text === undefined) {
      if (this.#cut.size > 20_000) this.#cut.clear();
      text = shortened(name, (one) => this.width(one, bold) <= room, kept);
      this.#cut.set(key, text);
    }
    return text;
  }
}

/**
 * The name if it fits, else its longest shortened form that fits. "ends" leaves out the middle, since the beginning of
 * a dotted name says where a layer is and the end says what the layer is; "last" leaves out the beginning.
 */
export function shortened(name: string, fits: (text: string) => boolean, parts: "ends" | "last" = "ends"): string {
  if (fits(name)) return name;
  const letters = Array.from(name);
  const kept = (count: number) => {
    const head = parts === "ends" ? Math.floor(count / 2) : 0;
    return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (count - head)).join("")}`;
  };
  let [low, high] = [0, letters.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(kept(middle))) low = middle;
    else high = middle - 1;
  }
  return low > (parts === "ends" ? 2 : 0) ? kept(low) : "…";
}
