/** Stands in for Jupyter's model in a page without a kernel: it keeps the state, and answers requests for details. */

import type { AnyModel } from "@anywidget/types";
import type { Detail, FromPython, ToPython, WidgetState } from "./model";
import { equalPairs } from "./pairs";

/** A detail (all measures of one pair) as Python would send it. A page has the details it was exported with. */
export interface DetailMessage {
  message: Detail;
  buffers: Uint8Array[];
}

type Listener = (...args: never[]) => void;

export class StandIn implements Pick<AnyModel<WidgetState>, "get" | "set" | "on" | "off" | "save_changes" | "send"> {
  #state: WidgetState;
  #listeners = new Map<string, Set<Listener>>();
  #details: DetailMessage[];
  widget_manager = undefined as never;

  constructor(state: WidgetState, details: DetailMessage[] = []) {
    this.#state = { ...state };
    this.#details = details;
  }

  get<K extends keyof WidgetState>(name: K): WidgetState[K] {
    return this.#state[name];
  }

  set<K extends keyof WidgetState>(name: K, value: WidgetState[K]): void {
    this.#state[name] = value;
    for (const call of this.#listeners.get(`change:${String(name)}`) ?? []) call();
  }

  on(event: string, call: Listener): void {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(call));
  }

  off(event?: string | null, call?: Listener | null): void {
    if (event && call) this.#listeners.get(event)?.delete(call);
  }

  /** The number of listeners; 0 once the view and the store are closed. */
  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, calls) => sum + calls.size, 0);
  }

  save_changes(): void {}

  send(message?: ToPython): void {
    if (message?.type !== "need" || message.what !== "detail") return;
    const known = this.#details.find(({ message: { pair } }) => message.pair && equalPairs(pair, message.pair));
    if (known) queueMicrotask(() => this.receive(known.message, known.buffers));
  }

  /** Deliver a message to the page, as if Python had sent it. */
  receive(message: FromPython, buffers: Uint8Array[] = []): void {
    for (const call of this.#listeners.get("msg:custom") ?? [])
      (call as (...args: unknown[]) => void)(message, buffers);
  }
}
