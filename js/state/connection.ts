/** The connection of this page to the kernel: messages both ways, and whether the kernel is still heard. */

import type { FromPython, ToPython } from "./model";
import type { Model } from "./shared_settings";
import type { Bytes } from "./snapshot";

/** A frame (a message with the shown numbers) is acknowledged within so many ms, whether the page draws or not. */
const ACK_MS = 250;
/** Python sends something every 2 s while a run goes on; after so many ms without a message it counts as silent. */
const SILENT_MS = 6000;
/** A silent kernel is greeted again and again, with pauses that double up to so many ms. */
const MAX_GREETING_MS = 60_000;

export interface ConnectionHandlers {
  /** called for every message; if the message is a frame, it is acknowledged after this call */
  received(message: FromPython, buffers: Bytes[]): void;
  /** called when the kernel falls silent, is heard again, or is gone */
  changed(): void;
  /** the sequence number of the newest numbers that this page has */
  latestSeq(): number;
}

export class Connection {
  /** the name of this page among all pages of the widget */
  readonly client = Math.random().toString(36).slice(2);
  #model: Model;
  #handlers: ConnectionHandlers;
  /** when the kernel last sent something, in ms since 1970 */
  #heard = 0;
  #silent = false;
  #gone = false;
  #greetAfter = SILENT_MS;
  #acknowledgement: { timer: number; frame: number } | undefined;
  #release: () => void;

  constructor(model: Model, handlers: ConnectionHandlers) {
    this.#model = model;
    this.#handlers = handlers;
    const receive = (message: FromPython, buffers: Bytes[]) => this.#receive(message, buffers ?? []);
    const restarted = () => {
      this.#gone = true;
      handlers.changed();
    };
    model.on("msg:custom", receive);
    // Jupyter's models send this event when the kernel that they belong to has been restarted
    model.on("comm_live_update", restarted);
    const clock = window.setInterval(() => this.#checkSilence(), 1000);
    this.#release = () => {
      model.off("msg:custom", receive);
      model.off("comm_live_update", restarted);
      window.clearInterval(clock);
      this.#dropAcknowledgement();
    };
    this.heardAt(1000 * model.get("run").at);
  }

  close(): void {
    this.#release();
  }

  /** Tell Python that this page is there and which numbers it has, so that Python sends newer ones. */
  greet(): void {
    const [run_id, have_seq] = [this.#model.get("run_id"), this.#handlers.latestSeq()];
    this.send({ type: "ready", client: this.client, run_id, have_seq });
  }

  send(message: ToPython): void {
    if (this.#gone) return; // the new kernel does not know this widget
    try {
      this.#model.send(message);
    } catch {
      // there is no kernel
    }
  }

  /** Note that the kernel wrote something at `moment`, in ms since 1970. */
  heardAt(moment: number): void {
    this.#heard = Math.max(this.#heard, moment);
  }

  /** When the kernel was last heard, in ms since 1970, if it is silent or gone. */
  get lastHeard(): number | undefined {
    return this.#silent || this.#gone ? this.#heard : undefined;
  }

  /** Whether the kernel that this widget belongs to was restarted: nothing will come from it any more. */
  get gone(): boolean {
    return this.#gone;
  }

  #receive(message: FromPython, buffers: Bytes[]): void {
    this.#heard = Date.now();
    this.#silent = false;
    this.#greetAfter = SILENT_MS;
    this.#handlers.received(message, buffers);
    if (message.type === "frame") this.#acknowledge(message.seq);
  }

  /** Acknowledge the latest frame once the views have drawn; a hidden page draws nothing, so a timer runs as well. */
  #acknowledge(seq: number): void {
    this.#dropAcknowledgement();
    const done = () => {
      this.#dropAcknowledgement();
      this.send({ type: "ack", client: this.client, seq, hidden: document.hidden });
    };
    this.#acknowledgement = { timer: window.setTimeout(done, ACK_MS), frame: requestAnimationFrame(done) };
  }

  #dropAcknowledgement(): void {
    if (this.#acknowledgement === undefined) return;
    window.clearTimeout(this.#acknowledgement.timer);
    cancelAnimationFrame(this.#acknowledgement.frame);
    this.#acknowledgement = undefined;
  }

  #checkSilence(): void {
    const going = ["ready", "running", "paused"].includes(this.#model.get("run").state);
    const quiet = Date.now() - this.#heard;
    const silent = going && quiet > SILENT_MS;
    if (silent && quiet > this.#greetAfter) {
      // Python sends little to a page that does not answer: after an interruption the page asks for what it has missed
      this.#greetAfter = quiet + Math.min(quiet, MAX_GREETING_MS);
      this.greet();
    }
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#handlers.changed();
  }
}
