/** A model for pages without a kernel: it holds the state, hears of its changes, and knows some details by heart. */

import type { AnyModel } from "@anywidget/types";
import type { Detail, FromPython, State, ToPython } from "./model";
import { same } from "./pairs";

/** A detail as Python would send it. */
export interface Told {
  message: Detail;
  buffers: Uint8Array[];
}

type Call = (...args: never[]) => void;

export class StandIn implements Pick<AnyModel<State>, "get" | "set" | "on" | "off" | "save_changes" | "send"> {
  #state: State;
  #calls = new Map<string, Set<Call>>();
  #details: Told[];
  widget_manager = undefined as never;

  constructor(state: State, details: Told[] = []) {
    this.#state = { ...state };
    this.#details = details;
  }

  get<K extends keyof State>(name: K): State[K] {
    return this.#state[name];
  }

  set<K extends keyof State>(name: K, value: State[K]): void {
    this.#state[name] = value;
    for (const call of this.#calls.get(`change:${String(name)}`) ?? []) call();
  }

  on(event: string, call: Call): void {
    this.#calls.set(event, (this.#calls.get(event) ?? new Set()).add(call));
  }

  off(event?: string | null, call?: Call | null): void {
    if (event && call) this.#calls.get(event)?.delete(call);
  }

  /** How many listeners there are. */
  get listeners(): number {
    return [...this.#calls.values()].reduce((sum, calls) => sum + calls.size, 0);
  }

  save_changes(): void {}

  send(message?: ToPython): void {
    if (message?.type !== "need" || message.what !== "detail") return;
    const known = this.#details.find(({ message: { pair } }) => message.pair && same(pair, message.pair));
    if (known) queueMicrotask(() => this.tell(known.message, known.buffers));
  }

  /** Let the page hear a message, as if Python had sent it. */
  tell(message: FromPython, buffers: Uint8Array[] = []): void {
    for (const call of this.#calls.get("msg:custom") ?? []) (call as (...args: unknown[]) => void)(message, buffers);
  }
}
