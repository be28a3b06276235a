/** What one page knows of one widget: its synced state, and what came in messages. Lives as long as the model. */

import type { AnyModel } from "@anywidget/types";
import type {
  Command,
  Detail,
  Fetched,
  Format,
  FromPython,
  Inside,
  Need,
  PairMeasure,
  Selection,
  WidgetState,
  ToPython,
} from "./model";
import { pairKey } from "./pairs";
import { bytesOf, float32, Snapshot, type Cells } from "./snapshot";

const ACK_WITHIN = 250;
const SILENT_AFTER = 6000;
/** A silent kernel is asked again after twice as long each time, but for this. */
const ASKED_WITHIN = 60_000;
const FETCHED_WITHIN = 30_000;
/** Pairs whose detail is kept. */
const MAX_DETAILS = 8;
const SHARED = [
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

/** What both Python and the page write. */
type SettingName = "measure" | "view" | "shows" | "selection" | "pinned" | "open_x" | "open_y" | "scale" | "threshold";
type Buffer = DataView | Uint8Array | ArrayBuffer;

/** What the layers of a pair make of the samples, with its pictures. */
export interface DecodedInside extends Inside {
  /** the Gram matrices (size, size), row by row */
  gramX: Float32Array;
  gramY: Float32Array;
  /** of the least agreed samples, then of the most agreed ones */
  thumbnails: Uint8Array;
}

/** The latest detail of one pair. */
export interface PairDetail {
  measures: PairMeasure[];
  inside: DecodedInside | null;
  seq: number;
}

export class Store {
  #model: AnyModel<WidgetState>;
  #client = Math.random().toString(36).slice(2);
  #listeners = new Set<() => void>();
  #frames = new Map<string, Cells>();
  #snapshot: Snapshot | undefined;
  #details = new Map<string, PairDetail>();
  #fetches = new Map<number, (fetched: Fetched, bytes: Buffer | undefined) => void>();
  #heard = 0;
  #silent = false;
  #gone = false;
  #askedAfter = SILENT_AFTER;
  #commands = 0;
  #error: string | undefined;
  #seq = 0;
  #acknowledgement: { seq: number; timer: number; frame: number } | undefined;
  #release: () => void;

  /** `alone` tells that there is no kernel and never will be. */
  constructor(
    model: AnyModel<WidgetState>,
    readonly withoutKernel = false,
  ) {
    this.#model = model;
    const hear = (message: FromPython, buffers: Buffer[]) => this.#hear(message, buffers ?? []);
    const changed = () => this.#changed();
    const renewed = () => {
      this.#snapshot = undefined;
      this.#changed();
    };
    model.on("msg:custom", hear);
    for (const name of SHARED) model.on(`change:${name}`, name.startsWith("snapshot") ? renewed : changed);
    // Jupyter's models say this when the kernel that they belong to has been restarted
    const gone = () => {
      this.#gone = true;
      this.#tell();
    };
    model.on("comm_live_update", gone);
    const clock = window.setInterval(() => this.#listen(), 1000);
    this.#release = () => {
      model.off("msg:custom", hear);
      for (const name of SHARED) model.off(`change:${name}`, name.startsWith("snapshot") ? renewed : changed);
      model.off("comm_live_update", gone);
      window.clearInterval(clock);
      this.#forget();
    };
    this.#heard = 1000 * this.get("run").at;
    this.#greet();
    this.#ask();
  }

  /** Say that this page is there, and what it has seen. */
  #greet(): void {
    this.#send({ type: "ready", client: this.#client, run_id: this.get("run_id"), have_seq: this.#snapshotSeq() });
  }

  close(): void {
    this.#release();
    this.#listeners.clear();
  }

  /** Call back after every change; returns the way out. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get<K extends keyof WidgetState>(name: K): WidgetState[K] {
    return this.#model.get(name);
  }

  /** Change what all views of this widget share. */
  set<K extends SettingName>(name: K, value: WidgetState[K]): void {
    this.#model.set(name, value);
    this.#model.save_changes();
    if (name === "selection" || name === "pinned") this.#ask();
  }

  /** Ask for the detail of the held pair and of the pinned ones. */
  #ask(): void {
    const held = this.get("selection");
    for (const pair of [...(held ? [held] : []), ...this.get("pinned")]) this.ask("detail", pair);
  }

  get snapshot(): Snapshot {
    return (this.#snapshot ??= new Snapshot(this.get("snapshot"), this.get("snapshot_meta"), this.get("axes")));
  }

  /** The latest numbers of a measure and view; undefined before there are any. */
  cells(measure = this.get("measure"), view = this.get("view")): Cells | undefined {
    const frame = this.#frames.get(keyOf(measure, view));
    const { meta } = this.snapshot;
    if (frame && (meta.run_id !== this.get("run_id") || frame.seq >= meta.seq)) return frame;
    return this.snapshot.cells(measure, view) ?? frame;
  }

  /** What Python has told of a pair, as of its latest detail. */
  detail(pair: Selection | null): PairDetail | undefined {
    return pair ? this.#details.get(pairKey(pair)) : undefined;
  }

  /** When the kernel was last heard, in ms since 1970, if it has been silent for too long or is gone. */
  get lastHeard(): number | undefined {
    return this.#silent || this.#gone ? this.#heard : undefined;
  }

  /** Whether the kernel that this belongs to is gone for good. */
  get kernelGone(): boolean {
    return this.#gone;
  }

  /** What the last command ran into. */
  get error(): string | undefined {
    return this.#error;
  }

  ask(what: Need["what"], pair: Selection | null = null): void {
    this.#send({ type: "need", client: this.#client, what, pair });
  }

  /** Have Python make a file; what came, or what went wrong, is handed on. */
  fetch(format: Format): Promise<File> {
    if (this.#gone) return Promise.reject(new Error("the file would come from the kernel that was restarted"));
    const id = ++this.#commands;
    return new Promise((done, fail) => {
      const timer = window.setTimeout(() => {
        this.#fetches.delete(id);
        fail(new Error("the kernel sent no file: is it still there?"));
      }, FETCHED_WITHIN);
      this.#fetches.set(id, ({ name, mime, error }, bytes) => {
        window.clearTimeout(timer);
        this.#fetches.delete(id);
        if (error !== null || !bytes) fail(new Error(error ?? "the file is empty"));
        else done(new File([bytesOf(bytes).slice()], name, { type: mime }));
      });
      this.#send({ type: "fetch", client: this.#client, id, format });
    });
  }

  /** Say what went wrong, where people see it. */
  showError(trouble: string | undefined): void {
    this.#error = trouble;
    this.#tell();
  }

  command(name: Command["name"]): void {
    this.#error = undefined;
    this.#send({ type: "command", id: ++this.#commands, name });
  }

  #send(message: ToPython): void {
    if (this.#gone) return; // a new kernel knows nothing of this
    try {
      this.#model.send(message);
    } catch {
      // without a kernel there is nobody to tell
    }
  }

  #hear(message: FromPython, buffers: Buffer[]): void {
    this.#heard = Date.now();
    this.#silent = false;
    this.#askedAfter = SILENT_AFTER;
    if (message.type === "frame") this.#take(message, buffers);
    else if (message.type === "detail") this.#keep(message, buffers);
    else if (message.type === "fetched") {
      if (message.client === this.#client) this.#fetches.get(message.id)?.(message, buffers[0]);
    } else if (message.type === "reply" && message.id === this.#commands) this.#error = message.error ?? undefined;
    this.#tell();
    if (message.type === "frame") this.#acknowledge(message.seq);
  }

  #take(frame: FromPython & { type: "frame" }, buffers: Buffer[]): void {
    const [x, y] = frame.view;
    const [axisX, axisY] = [this.get("axes")[x], this.get("axes")[y]];
    const [values, stderr] = buffers;
    if (!axisX || !axisY || !values || !stderr || frame.run_id !== this.get("run_id")) return;
    if (frame.shape[0] !== axisX.layers.length || frame.shape[1] !== axisY.layers.length) {
      this.ask("frame"); // the axes have changed under it
      return;
    }
    this.#seq = frame.seq;
    this.#frames.set(keyOf(frame.measure, frame.view), {
      rows: axisX.layers,
      columns: axisY.layers,
      modelX: axisX.model,
      modelY: axisY.model,
      about: frame.about,
      values: float32(values),
      stderr: float32(stderr),
      seq: frame.seq,
      samples: frame.n_samples,
    });
  }

  #keep(detail: Detail, [gramX, gramY, thumbnails]: Buffer[]): void {
    if (detail.run_id !== this.get("run_id")) return;
    const before = this.#details.get(pairKey(detail.pair));
    const inside = detail.inside && gramX && gramY ? detail.inside : null;
    this.#details.delete(pairKey(detail.pair));
    this.#details.set(pairKey(detail.pair), {
      measures: detail.measures,
      inside: inside && {
        ...inside,
        gramX: float32(gramX!),
        gramY: float32(gramY!),
        thumbnails: thumbnails ? bytesOf(thumbnails) : new Uint8Array(),
      },
      seq: detail.seq,
    });
    // a pair that was pinned by the way is told without its insides; what is known of them stays
    if (!inside && before?.inside) this.#details.get(pairKey(detail.pair))!.inside = before.inside;
    for (const name of this.#details.keys()) {
      if (this.#details.size <= MAX_DETAILS) break;
      this.#details.delete(name);
    }
  }

  /** After the views have drawn; hidden pages have no animation frames, so a timer stands in. */
  #acknowledge(seq: number): void {
    this.#forget();
    const done = () => {
      this.#forget();
      this.#send({ type: "ack", client: this.#client, seq, hidden: document.hidden });
    };
    const timer = window.setTimeout(done, ACK_WITHIN);
    this.#acknowledgement = { seq, timer, frame: requestAnimationFrame(done) };
  }

  #forget(): void {
    if (this.#acknowledgement === undefined) return;
    window.clearTimeout(this.#acknowledgement.timer);
    cancelAnimationFrame(this.#acknowledgement.frame);
    this.#acknowledgement = undefined;
  }

  /** A run that goes on is heard every two seconds; longer silence is said. */
  #listen(): void {
    const going = ["ready", "running", "paused"].includes(this.get("run").state);
    const quiet = Date.now() - this.#heard;
    const silent = going && quiet > SILENT_AFTER;
    if (silent && quiet > this.#askedAfter) {
      // Python sends little to pages that do not answer, so one that was cut off asks for what it has missed
      this.#askedAfter = quiet + Math.min(quiet, ASKED_WITHIN);
      this.#greet();
    }
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#tell();
  }

  #changed(): void {
    this.#heard = Math.max(this.#heard, 1000 * this.get("run").at);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #snapshotSeq(): number {
    const { meta } = this.snapshot;
    return meta.run_id === this.get("run_id") ? Math.max(this.#seq, meta.seq) : 0;
  }
}

function keyOf(measure: string, view: [number, number]): string {
  return `${measure} ${view.join(" ")}`;
}
