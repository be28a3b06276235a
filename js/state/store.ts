/**
 * What a page knows of one widget, for all its views: the shared settings, the latest numbers, and the connection to
 * the kernel. It lives as long as the widget's model.
 */

import { Connection } from "./connection";
import type { Command, Format, FromPython, Selection, WidgetState } from "./model";
import { LatestNumbers, type PairDetail } from "./latest_numbers";
import { Requests } from "./requests";
import { type Model, type SettingName, SharedSettings, type WatchedName } from "./shared_settings";
import type { Bytes, Cells, Snapshot } from "./snapshot";

export class Store {
  #settings: SharedSettings;
  #numbers: LatestNumbers;
  #connection: Connection;
  #requests: Requests;
  #listeners = new Set<() => void>();

  /** `withoutKernel`: there is no kernel and never will be, as in an exported page. */
  constructor(
    model: Model,
    readonly withoutKernel = false,
  ) {
    this.#settings = new SharedSettings(model, (name) => this.#settingChanged(name));
    this.#numbers = new LatestNumbers(this.#settings);
    this.#connection = new Connection(model, {
      received: (message, buffers) => this.#received(message, buffers),
      changed: () => this.#notify(),
      latestSeq: () => this.#numbers.latestSeq,
    });
    this.#requests = new Requests(this.#connection.client, (message) => this.#connection.send(message));
    this.#connection.greet();
    this.#askForDetails();
  }

  close(): void {
    this.#connection.close();
    this.#settings.close();
    this.#listeners.clear();
  }

  /** Call `listener` after every change. Returns a function that ends the subscription. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get<K extends keyof WidgetState>(name: K): WidgetState[K] {
    return this.#settings.get(name);
  }

  /** Change a setting in Python and in every view. */
  set<K extends SettingName>(name: K, value: WidgetState[K]): void {
    this.#settings.set(name, value);
    if (name === "selection" || name === "pinned") this.#askForDetails();
  }

  get snapshot(): Snapshot {
    return this.#numbers.snapshot;
  }

  /** The latest numbers of a measure and view, by default of the shown ones; undefined before there are any. */
  cells(measure = this.get("measure"), view = this.get("view")): Cells | undefined {
    return this.#numbers.cells(measure, view);
  }

  /** The latest detail of a pair, if any has come. */
  detail(pair: Selection | null): PairDetail | undefined {
    return this.#numbers.detail(pair);
  }

  /** When the kernel was last heard, in ms since 1970, if it has been silent for too long or was restarted. */
  get lastHeard(): number | undefined {
    return this.#connection.lastHeard;
  }

  /** Whether the kernel that this widget belongs to was restarted. */
  get kernelGone(): boolean {
    return this.#connection.gone;
  }

  /** The error of the last request to Python, or a text about what a view could not do. */
  get error(): string | undefined {
    return this.#requests.error;
  }

  showError(error: string | undefined): void {
    this.#requests.error = error;
    this.#notify();
  }

  command(name: Command["name"]): void {
    this.#requests.command(name);
  }

  /** Ask Python for a file. The promise is rejected, with the reason, if no file comes. */
  fetch(format: Format): Promise<File> {
    if (this.kernelGone) return Promise.reject(new Error("the file would come from the kernel that was restarted"));
    return this.#requests.fetch(format);
  }

  /** Ask for the details of the held pair and of the pinned ones. */
  #askForDetails(): void {
    const held = this.get("selection");
    for (const pair of [...(held ? [held] : []), ...this.get("pinned")]) this.#ask("detail", pair);
  }

  #ask(what: "frame" | "detail", pair: Selection | null): void {
    this.#connection.send({ type: "need", client: this.#connection.client, what, pair });
  }

  #received(message: FromPython, buffers: Bytes[]): void {
    if (message.type === "frame" && !this.#numbers.takeFrame(message, buffers)) this.#ask("frame", null);
    if (message.type === "detail") this.#numbers.takeDetail(message, buffers);
    if (message.type === "fetched") this.#requests.fetched(message, buffers);
    if (message.type === "reply") this.#requests.replied(message);
    this.#notify();
  }

  #settingChanged(name: WatchedName): void {
    if (name.startsWith("snapshot")) this.#numbers.renewSnapshot();
    this.#connection.heardAt(1000 * this.get("run").at);
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
