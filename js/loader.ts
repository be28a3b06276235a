/**
 * The small program that every widget model carries. It gets the front end (`widget.ts` and its styles), which all
 * heatmaps of a notebook have in common, and hands the widget over to it.
 */

import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import type { FrontEndFiles, FromPython, WidgetState } from "./state/model";
import type widget from "./widget";

type Module = { default: typeof widget };

interface LoaderState extends WidgetState {
  /** the reference to the model that holds the front end: "IPY_MODEL_" and its identifier */
  front_end: string;
}

/** The model of the widget that holds the front end; `simwidget/widget/front_end.py` makes it. */
type FrontEndModel = AnyModel<Pick<FrontEndFiles, "javascript" | "css">>;

const REFERENCE = "IPY_MODEL_";
/** How often, in ms, the page looks for a model that is not there yet: a notebook's models are made in any order. */
const LOOK_AGAIN_MS = 100;
/** After so many ms without the front end, the kernel is asked for it, and the cell says what it waits for. */
const ASK_MS = 2000;
const EXPLAIN_MS = 3000;

const after = (ms: number) => new Promise<undefined>((done) => window.setTimeout(() => done(undefined), ms));

/** The front ends that this page has loaded, by their code. Each is loaded once, for all widgets of all notebooks. */
const page = globalThis as { [key: symbol]: Map<string, Promise<Module>> | undefined };
const loaded = (page[Symbol.for("simwidget front ends")] ??= new Map<string, Promise<Module>>());

function load(javascript: string): Promise<Module> {
  let found = loaded.get(javascript);
  if (found === undefined) {
    const url = URL.createObjectURL(new Blob([javascript], { type: "text/javascript" }));
    found = import(/* @vite-ignore */ url).finally(() => URL.revokeObjectURL(url)) as Promise<Module>;
    loaded.set(javascript, found);
  }
  return found;
}

/** Add the styles to the document, or to the shadow tree that the element is in, unless they are there. */
function addStyles(css: string, el: HTMLElement): void {
  const root = el.getRootNode();
  const parent = root instanceof ShadowRoot ? root : document.head;
  const styles = [...parent.querySelectorAll<HTMLStyleElement>("style[data-simwidget]")];
  if (styles.some((style) => style.textContent === css)) return;
  const style = document.createElement("style");
  style.dataset.simwidget = "";
  style.textContent = css;
  parent.append(style);
}

/** The files of the front end: from the model that holds them, or from the kernel if this page cannot find the model. */
async function findFrontEnd(model: AnyModel<LoaderState>, signal: AbortSignal): Promise<FrontEndFiles> {
  const inNotebook = async (): Promise<FrontEndFiles | undefined> => {
    try {
      const id = model.get("front_end").replace(REFERENCE, "");
      const holder: FrontEndModel | undefined = await model.widget_manager.get_model(id);
      const [javascript, css] = [holder?.get("javascript"), holder?.get("css")];
      return javascript ? { type: "front_end", javascript, css: css ?? "" } : undefined;
    } catch {
      return undefined; // it is not there, or this kind of notebook cannot look it up
    }
  };
  const first = await Promise.race([inNotebook(), after(ASK_MS)]);
  if (first !== undefined) return first;
  return new Promise((resolve) => {
    if (signal.aborted) return; // the widget was closed meanwhile
    const stop = () => {
      model.off("msg:custom", receive);
      window.clearInterval(timer);
    };
    const found = (files: FrontEndFiles) => {
      stop();
      resolve(files);
    };
    const receive = (message: FromPython) => {
      if (message.type === "front_end") found(message);
    };
    let looking = false;
    const look = async () => {
      if (looking) return;
      looking = true;
      const files = await inNotebook();
      looking = false;
      if (files !== undefined) found(files);
    };
    model.on("msg:custom", receive);
    const timer = window.setInterval(() => void look(), LOOK_AGAIN_MS);
    signal.addEventListener("abort", stop);
    try {
      model.send({ type: "need_front_end" });
    } catch {
      // there is no kernel
    }
  });
}

/** Jupyter calls this once for each widget model on a page. */
export default () => {
  const closing = new AbortController();
  let front: Promise<{ files: FrontEndFiles; widget: ReturnType<typeof widget>; close: () => void }> | undefined;

  const start = (model: AnyModel<LoaderState>) =>
    (front ??= findFrontEnd(model, closing.signal).then(async (files) => {
      const widget = (await load(files.javascript)).default();
      return { files, widget, close: widget.initialize({ model }) };
    }));

  return {
    initialize({ model }: InitializeProps<LoaderState>): () => void {
      const started = start(model);
      started.catch(() => {}); // `render` shows the error
      return () => {
        closing.abort();
        started.then(({ close }) => close()).catch(() => {});
      };
    },
    async render({ model, el }: RenderProps<LoaderState>): Promise<() => void> {
      const waiting = document.createElement("p");
      waiting.textContent = "Waiting for the heatmap’s code, which the kernel or the saved notebook has…";
      const timer = window.setTimeout(() => el.append(waiting), EXPLAIN_MS);
      try {
        const { files, widget } = await start(model);
        addStyles(files.css, el);
        return widget.render({ model, el });
      } finally {
        window.clearTimeout(timer);
        waiting.remove();
      }
    },
  };
};
