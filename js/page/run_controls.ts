/** How far the run is, with buttons to start, pause, resume and stop it. */

import { html } from "../parts/dom";
import type { Command, RunInfo } from "../state/model";
import type { Store } from "../state/store";
import { heardText, paceText, runText, widestText } from "../state/display_text";

type CommandName = Command["name"];

const COMMANDS: Record<string, [CommandName, string][]> = {
  ready: [["start", "▶ Start"]],
  running: [
    ["pause", "❚❚ Pause"],
    ["stop", "■ Stop"],
  ],
  paused: [
    ["resume", "▶ Resume"],
    ["stop", "■ Stop"],
  ],
  failed: [["resume", "▶ Try again"]],
};

export class Progress {
  readonly element = html("div", "run");
  #controls = html("div", "controls");
  #where = html("strong", "where");
  #aloud = html("span", "reader");
  #bar = html("span", "bar", html("i"));
  #pace = html("span", "pace");
  #error = html("span", "error");
  #silence = html("span", "heard");
  #buttons = "";
  #news = "";
  #stderr: Float32Array | undefined;

  constructor(private store: Store) {
    this.#aloud.setAttribute("role", "status");
    this.#bar.setAttribute("role", "progressbar");
    this.#bar.setAttribute("aria-label", "Batches");
    this.element.append(this.#where, this.#aloud, this.#bar, this.#pace, this.#error, this.#silence, this.#controls);
  }

  show(): void {
    const run = this.store.get("run");
    const cells = this.store.cells();
    this.element.dataset.state = run.state;
    this.#where.textContent = runText(run);
    this.#announce(run);
    const share = run.n_batches_expected ? run.n_batches / run.n_batches_expected : undefined;
    this.#bar.hidden = share === undefined && run.state !== "running";
    this.#bar.classList.toggle("unknown", share === undefined);
    this.#bar.setAttribute("aria-valuenow", String(Math.round(100 * (share ?? 0))));
    (this.#bar.firstElementChild as HTMLElement).style.width = `${100 * Math.min(1, share ?? 0)}%`;
    if (cells?.stderr !== this.#stderr) {
      this.#stderr = cells?.stderr;
      this.#error.textContent = cells ? widestText(cells.stderr) : "";
    }
    const { lastHeard, kernelGone, error } = this.store;
    this.#pace.textContent = paceText(lastHeard === undefined ? run : { ...run, rate: null, seconds_left: null });
    this.#silence.textContent = [heardText(lastHeard, kernelGone), error].filter(Boolean).join("; ");
    this.#showCommands(kernelGone ? [] : (COMMANDS[run.state] ?? []));
  }

  /** Tell screen readers when the state changes and after every tenth of the run, not after every batch. */
  #announce(run: RunInfo): void {
    const tenth = run.n_batches_expected ? Math.floor((10 * run.n_batches) / run.n_batches_expected) : 0;
    const news = `${run.state} ${tenth}`;
    if (news === this.#news) return;
    this.#news = news;
    this.#aloud.textContent = runText(run);
  }

  /** Show the buttons. They are made anew only if others are offered, so that no click is lost when numbers come. */
  #showCommands(offered: [CommandName, string][]): void {
    const key = offered.map(([name]) => name).join(" ");
    if (key === this.#buttons) return;
    this.#buttons = key;
    this.#controls.replaceChildren(
      ...offered.map(([name, text]) => {
        const button = html("button", name, text);
        button.type = "button";
        button.onclick = () => this.store.command(name);
        return button;
      }),
    );
  }
}
