/** What a page asks Python to do: steer the run, or make a file. A request and its answer have the same number. */

import type { Command, Fetched, Format, Reply, ToPython } from "./model";
import { type Bytes, bytesOf } from "./snapshot";

/** How long the page waits for a file, in ms. */
const FILE_MS = 30_000;

export class Requests {
  /** the error of the last request, if it failed */
  error: string | undefined;
  #client: string;
  #send: (message: ToPython) => void;
  #latest = 0;
  #files = new Map<number, (fetched: Fetched, bytes: Bytes | undefined) => void>();

  /** `client` is the name of this page. An answer has the name of the page that asked, so others can ignore it. */
  constructor(client: string, send: (message: ToPython) => void) {
    this.#client = client;
    this.#send = send;
  }

  command(name: Command["name"]): void {
    this.error = undefined;
    this.#send({ type: "command", id: ++this.#latest, name });
  }

  /** Ask Python for a file. The promise is rejected, with the reason, if no file comes. */
  fetch(format: Format): Promise<File> {
    const id = ++this.#latest;
    return new Promise((done, fail) => {
      const timer = window.setTimeout(() => {
        this.#files.delete(id);
        fail(new Error("the kernel sent no file: is it still there?"));
      }, FILE_MS);
      this.#files.set(id, ({ name, mime, error }, bytes) => {
        window.clearTimeout(timer);
        this.#files.delete(id);
        if (error !== null || !bytes) fail(new Error(error ?? "the file is empty"));
        else done(new File([bytesOf(bytes).slice()], name, { type: mime }));
      });
      this.#send({ type: "fetch", client: this.#client, id, format });
    });
  }

  replied({ id, error }: Reply): void {
    if (id === this.#latest) this.error = error ?? undefined;
  }

  fetched(message: Fetched, [bytes]: Bytes[]): void {
    if (message.client === this.#client) this.#files.get(message.id)?.(message, bytes);
  }
}
