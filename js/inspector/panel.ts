/**
 * The inspector of the held pair (the pair of layers that was clicked): its numbers, their convergence compared with
 * pinned pairs, both layers' Gram matrices and spectra, and the samples on which the layers agree least and most.
 */

import { html } from "../parts/dom";
import { focusWithin } from "../parts/focus";
import { setClass, setHidden, setText } from "../parts/dom_updates";
import type { MeasureInfo, Selection } from "../state/model";
import { sameLayers } from "../state/pairs";
import { cannotPin, NO_MORE_PINS, pinNumber, pinOrUnpin } from "../state/pinned";
import type { Store } from "../state/store";
import { Curves, hasValues, type Line } from "./curves";
import { Grams } from "./grams";
import { Names } from "./pair_names";
import { NumberList, type PairNumber, PairNumbers } from "./measure_values";
import { Pins } from "./pins";
import { Samples } from "./samples";
import { Spectrum } from "./spectrum";

/**
 * For so many ms after a pair is held, the sections stay in place, emptied, until the numbers of the pair come, so that
 * nothing jumps.
 */
const WAIT_MS = 800;

export class Panel {
  readonly element = html("section", "panel");
  #hint = html("p", "hint", "Click a cell to hold its pair of layers here.");
  #names: Names;
  #numberList = new NumberList();
  #curves = new Curves();
  #heading = html("h4");
  #headingMeasure = html("span", "title-of");
  #headingStart = html("span");
  #pins: Pins;
  #noMorePins = html("p", "full", `${NO_MORE_PINS}.`);
  #convergence: HTMLElement;
  #grams = new Grams();
  #spectrum = new Spectrum();
  #samples = new Samples();
  #note = html("p", "note");
  #pairNumbers: PairNumbers;
  /** the held pair while its detail is awaited; `late` once the timer has run out */
  #awaited: { pair: Selection; timer: number; late: boolean } | undefined;

  constructor(private store: Store) {
    const pin = (pair: Selection) => pinOrUnpin(store, pair);
    this.#pairNumbers = new PairNumbers(store);
    this.#names = new Names({
      pin: () => this.#pair && pin(this.#pair),
      release: () => this.#release(),
    });
    this.#pins = new Pins((pair) => store.set("selection", pair), pin);
    this.#convergence = html("section", "convergence", this.#heading);
    this.#heading.append(this.#headingStart, this.#headingMeasure);
    this.#convergence.append(this.#curves.element, this.#pins.element, this.#noMorePins);
    const { element } = this;
    element.setAttribute("aria-label", "The held pair");
    element.tabIndex = 0; // so that it can be scrolled by keyboard
    element.dataset.lmSuppressShortcuts = "true"; // JupyterLab would move through its cells on arrow keys
    element.onkeydown = (event) => {
      if (event.key === "Escape" && this.#pair) this.#release();
      if (event.key !== "Tab") event.stopPropagation();
    };
    const first = html("div", "first", this.#names.element, this.#numberList.element);
    const halves = html("div", "halves", this.#grams.element, this.#spectrum.element);
    element.append(
      html("div", "inspector", this.#hint, first, this.#convergence, halves, this.#samples.element, this.#note),
    );
  }

  show(): void {
    const [pair, pinned] = [this.#pair, this.store.get("pinned")];
    const detail = this.store.detail(pair);
    const answered = this.#isAnswered(pair, detail !== undefined);
    setHidden(this.#hint, pair !== null);
    const rows = pair ? this.#pairNumbers.of(pair) : [];
    for (const one of [this.#names, this.#numberList]) setHidden(one.element, pair === null);
    if (pair) {
      this.#names.show(pair, pinned);
      this.#numberList.show(rows, pair, this.store.get("measure"));
    }
    const curves = this.#showConvergence(pair, pinned, answered);
    const inside = detail?.inside;
    const has = {
      grams: (inside?.size ?? 0) > 0,
      spectrum: (inside?.spectrum_x.length ?? 0) + (inside?.spectrum_y.length ?? 0) > 0,
      samples: (inside?.least.length ?? 0) + (inside?.most.length ?? 0) > 0,
    };
    showSection(this.#grams.element, has.grams, answered);
    showSection(this.#spectrum.element, has.spectrum, answered);
    showSection(this.#samples.element, has.samples, answered);
    if (pair && inside) {
      if (has.grams) this.#grams.show(inside, pair);
      if (has.spectrum) this.#spectrum.show(inside, this.#heightBesideSpectrum());
      if (has.samples) this.#samples.show(inside);
    }
    const nothing = !has.grams && !has.spectrum && !has.samples;
    if (answered) setHidden(this.#note, pair === null || !nothing);
    if (!this.#note.hidden) setText(this.#note, this.#whyNothing(curves));
  }

  #whyNothing(curves: boolean): string {
    const { kernelGone, lastHeard } = this.store;
    if (kernelGone) return KERNEL_GONE;
    return lastHeard === undefined ? whyNothing(this.store.get("run").state, curves) : KERNEL_SILENT;
  }

  close(): void {
    window.clearTimeout(this.#awaited?.timer);
    this.#awaited = undefined;
  }

  /** The height of the Gram matrices if the spectrum stands beside them, else 0. */
  #heightBesideSpectrum(): number {
    const [grams, spectrum] = [this.#grams.element, this.#spectrum.element];
    return grams.offsetTop === spectrum.offsetTop ? grams.clientHeight : 0;
  }

  get #pair(): Selection | null {
    return this.store.get("selection");
  }

  #release(): void {
    const within = focusWithin(this.element) !== null;
    this.store.set("selection", null);
    // the release button vanishes with the pair: the focus stays in the panel
    if (within) this.element.focus({ preventScroll: true });
  }

  /**
   * Draw the curves of all measures of the held pair; or, if there are pinned pairs, the curves of the shown measure
   * for all these pairs. Returns false if there is no curve.
   */
  #showConvergence(pair: Selection | null, pinned: Selection[], answered: boolean): boolean {
    const measure = this.store.get("measure");
    const about = this.store.snapshot.about(measure);
    const rowOf = (one: Selection) => this.#pairNumbers.of(one).find((row) => row.about.name === measure);
    const lines = pinned.length ? this.#pairLines(pair, pinned, measure) : pair ? this.#measureLines(pair) : [];
    const kind = pinned.length ? (about?.kind ?? "similarity") : (lines[0]?.kind ?? "similarity");
    showSection(this.#convergence, lines.length > 0 || pinned.length > 0, answered || pinned.length > 0);
    setHidden(this.#curves.element, lines.length === 0);
    const title = about?.title ?? measure;
    setText(this.#headingStart, lines.length ? (pinned.length ? "Convergence of " : "Convergence") : "Pinned pairs, ");
    setText(this.#headingMeasure, pinned.length ? title : "");
    // the width is read before the list of pins is filled, which may bring a scroll bar
    if (lines.length) {
      const width = Math.max(160, this.#convergence.clientWidth || 280);
      this.#curves.show(lines, kind, this.store.get("run").n_batches_expected, width);
    }
    const rows: (PairNumber | undefined)[] = pinned.map(rowOf);
    this.#pins.show(pinned, rows, pair);
    setHidden(this.#noMorePins, !pair || !cannotPin(pinned, pair));
    return lines.length > 0;
  }

  #curveOf(pair: Selection, measure: string) {
    const curve = this.store.detail(pair)?.measures.find(({ name }) => name === measure)?.curve;
    return curve && hasValues(curve) ? curve : undefined;
  }

  /** The curves of all measures of one pair, without differences of measures, which need another axis. */
  #measureLines(pair: Selection): (Line & Pick<MeasureInfo, "kind">)[] {
    return this.store.snapshot.meta.measures
      .filter(({ kind }) => kind !== "difference")
      .flatMap(({ name, title, kind }, k) => {
        const curve = this.#curveOf(pair, name);
        return curve ? [{ title, curve, kind, tone: k + 1 }] : [];
      });
  }

  /** The curves of one measure for all pinned pairs and the held pair. */
  #pairLines(pair: Selection | null, pinned: Selection[], measure: string): (Line & Pick<MeasureInfo, "kind">)[] {
    const kind = this.store.snapshot.about(measure)?.kind ?? "similarity";
    const lines = pinned.flatMap((one, k) => {
      const curve = this.#curveOf(one, measure);
      const title = `${one.model_x} › ${one.layer_x} × ${one.model_y} › ${one.layer_y}`;
      const strong = pair !== null && sameLayers(one, pair);
      return curve ? [{ title, curve, kind, tone: k + 1, badge: String(k + 1), strong }] : [];
    });
    const curve = pair && !pinNumber(pinned, pair) ? this.#curveOf(pair, measure) : undefined;
    return curve ? [...lines, { title: "held", curve, kind, tone: 0, strong: true }] : lines;
  }

  /** Whether the detail of the held pair is known, or the time to wait for it, `WAIT_MS`, is over. */
  #isAnswered(pair: Selection | null, known: boolean): boolean {
    if (pair === null || known) {
      this.close();
      return true;
    }
    if (!this.#awaited || !sameLayers(this.#awaited.pair, pair)) {
      this.close();
      const awaited = { pair, late: false, timer: 0 };
      awaited.timer = window.setTimeout(() => {
        awaited.late = true;
        if (this.#awaited === awaited && this.element.isConnected) this.show();
      }, WAIT_MS);
      this.#awaited = awaited;
    }
    return this.#awaited.late;
  }
}

/** Show or hide a section. While a detail is awaited, a visible section keeps its place, emptied. */
function showSection(section: HTMLElement, has: boolean, answered: boolean): void {
  const waits = !has && !answered;
  if (!waits) setHidden(section, !has);
  setClass(section, "awaited", waits && !section.hidden);
}

const KERNEL_GONE = "The kernel was restarted: curves, Gram matrices, spectra and samples went with it.";
const KERNEL_SILENT = "Gram matrices, spectra and samples come when the kernel is heard again.";

/** A text that says why there are no Gram matrices, spectra and samples. */
export function whyNothing(state: string, curves: boolean): string {
  if (state === "ready") return "Gram matrices, spectra and samples come with the first batches.";
  if (state === "running") return "Gram matrices, spectra and samples come with the next batch.";
  if (state === "paused") return "Gram matrices, spectra and samples come when the run goes on.";
  return `The ${curves ? "" : "curves and "}Gram matrices of a saved result are not kept.`;
}
