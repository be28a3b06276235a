/** The export menu: pictures of the map as shown, a table, and the files that only Python makes. */

import type { Plot } from "../map/plot";
import type { Format } from "../state/model";
import type { Store } from "../state/store";
import { csvOf, fileName, save } from "./downloads";
import { type Caption, pngOf, svgOf } from "./svg_picture";

interface Export {
  key: "png" | "svg" | Format;
  text: string;
  hint: string;
  /** whether only Python can make the file */
  kernel?: boolean;
}

const EXPORTS: Export[] = [
  { key: "png", text: "Picture (PNG)", hint: "The map as it is seen" },
  { key: "svg", text: "Picture (SVG)", hint: "The map as it is seen, lines and letters as vectors" },
  { key: "csv", text: "Table (CSV)", hint: "Every layer of this view, every measure with its error" },
  { key: "simw", text: "Result file", hint: "For SimilarityResult.load", kernel: true },
  { key: "html", text: "Web page", hint: "Interactive, no kernel, no network", kernel: true },
];

export class Exports {
  readonly offered: Export[];
  #store: Store;
  #plot: Plot;

  constructor(store: Store, plot: Plot) {
    this.#store = store;
    this.#plot = plot;
    this.offered = EXPORTS.filter(({ kernel }) => !(kernel && store.withoutKernel));
  }

  /** Make a file and have the browser save it; an error is shown on the page. */
  async make(key: string, note: string): Promise<void> {
    const store = this.#store;
    const { scene } = this.#plot;
    if (!scene) return;
    store.showError(undefined);
    const models = [...new Set([scene.x.model, scene.y.model])];
    try {
      if (key === "svg" || key === "png") {
        const svg = svgOf(this.#plot, this.#caption(models, note));
        const content = key === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : await pngOf(svg);
        save(fileName(models, key), content);
      } else if (store.withoutKernel || (store.kernelGone && key === "csv"))
        save(fileName(models, "csv"), new Blob([this.#csv()], { type: "text/csv" }));
      else {
        const file = await store.fetch(key as Format);
        save(file.name, file);
      }
    } catch (error) {
      store.showError(`could not export: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #caption(models: string[], note: string): Caption {
    const store = this.#store;
    const { colours, cells } = this.#plot.scene!;
    const what = cells?.about.title ?? store.get("measure");
    const of = models.length > 1 ? models.join(" × ") : `within ${models[0]}`;
    const samples = cells ? `, ${cells.samples.toLocaleString("en")} samples` : "";
    const hatched = this.#plot.hatched ? `; hatched: ± over ${store.get("threshold")}` : "";
    const legend = store.get("shows") === "errors" ? `standard error of ${what}` : `${what}${hatched}`;
    return { title: `${what} of ${of}${samples}${note ? ` (${note})` : ""}`, colours, legend };
  }

  #csv(): string {
    const store = this.#store;
    const [row, column] = store.get("view");
    const axes = store.get("axes");
    const measures = store.snapshot.meta.measures.flatMap(({ name }) => store.cells(name) ?? []);
    return csvOf(axes[row]!, axes[column]!, measures);
  }
}
