/** The state that the kernel and every view of a widget share, as Jupyter synchronises it. */

import type { AnyModel } from "@anywidget/types";
import type { WidgetState } from "./model";

export type Model = AnyModel<WidgetState>;

/** The synchronised traits that views depend on. */
const WATCHED = [
  "axes",
  "run",
  "snapshot",
  "snapshot_meta",
  "measure",
  "view",
  "shows",
  "selection",
  "pinned",
  "open_x",
  "open_y",
  "scale",
  "threshold",
] as const;

export type WatchedName = (typeof WATCHED)[number];
/** The traits that pages may write too; Python alone writes the others. */
export type SettingName = Exclude<WatchedName, "axes" | "run" | "snapshot" | "snapshot_meta">;

export class SharedSettings {
  #model: Model;
  #release: () => void;

  /** `changed` is called after every change, whoever made it. */
  constructor(model: Model, changed: (name: WatchedName) => void) {
    this.#model = model;
    const listeners = WATCHED.map((name) => [`change:${name}`, () => changed(name)] as const);
    for (const [event, listener] of listeners) model.on(event, listener);
    this.#release = () => {
      for (const [event, listener] of listeners) model.off(event, listener);
    };
  }

  get<K extends keyof WidgetState>(name: K): WidgetState[K] {
    return this.#model.get(name);
  }

  set<K extends SettingName>(name: K, value: WidgetState[K]): void {
    this.#model.set(name, value);
    this.#model.save_changes();
  }

  close(): void {
    this.#release();
  }
}
