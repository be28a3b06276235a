/**
 * The entry points of the front end. The default export is for notebooks, where `loader.ts` calls it: it makes one store
 * for each widget model and one view for each output cell that shows the widget. `standalone` is for pages without a
 * kernel.
 */

import type { AnyModel } from "@anywidget/types";
import { HeatmapView } from "./page/view";
import type { Detail, WidgetState } from "./state/model";
import { StandIn } from "./state/offline_model";
import { Store } from "./state/store";

/** The loader calls this once for each widget model on a page, so all views of a model share the store in the closure. */
export default () => {
  let store: Store | undefined;
  return {
    initialize({ model }: { model: AnyModel<WidgetState> }): () => void {
      store = new Store(model);
      return () => store?.close();
    },
    render({ model, el }: { model: AnyModel<WidgetState>; el: HTMLElement }): () => void {
      const view = new HeatmapView((store ??= new Store(model)));
      el.append(view.element);
      view.attached();
      return () => view.close();
    },
  };
};

/** Show the heatmap in the element `el` of a page without a kernel. `snapshot` and `buffers` are bytes in base64. */
export function standalone(
  el: HTMLElement,
  state: Omit<WidgetState, "snapshot">,
  snapshot: string,
  details: { message: Detail; buffers: string[] }[] = [],
) {
  const bytes = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const messages = details.map(({ message, buffers }) => ({ message, buffers: buffers.map(bytes) }));
  const model = new StandIn({ ...state, snapshot: bytes(snapshot) }, messages);
  const store = new Store(model, true);
  const view = new HeatmapView(store);
  el.append(view.element);
  view.attached();
  const close = () => {
    view.close();
    store.close();
  };
  return { model, close };
}
