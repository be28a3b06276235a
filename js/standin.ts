/** A model for pages without a kernel: it holds the state and hears of its changes; what is sent goes nowhere. */

import type { AnyModel } from "@anywidget/types";
import type { State } from "./model";

type Call = (...args: never[]) => void;

export class StandIn implements Pick<AnyModel<State>, "get" | "set" | "on" | "off" | "save_changes" | "send"> {
  #state: State;
  #calls = new Map<string, Set<Call>>();
  widget_manager = undefined as never;

  constructor(state: State) {
    this.#state = { ...state };
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

  send(): void {}
}
