"""The main job on the embedded example: `python -m simwidget.demo [--out FOLDER]`."""

import argparse
from pathlib import Path

import numpy as np

import simwidget as sw
from simwidget import demo


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    out = options.parse_args().out

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    models, loader, _ = demo.load()
    result = sw.compare(models, loader).run()

    print(f"\n{result.n_samples} images, {len(result.layers('seed 0'))} layers a network; same layer, value ± error:\n")
    pairs = [("seed 0", "seed 1"), ("seed 0", "untrained")]
    print(f"{'':16}" + "".join(f"{' × '.join(pair):^40}" for pair in pairs))
    print(f"{'layer':16}" + f"{'CKA':^20}{'dCKA':^20}" * len(pairs))
    for layer in ("stem.0", "stage1.1", "stage2.1", "stage3.1", "classifier"):
        i = result.layers("seed 0").index(layer)
        cells = [
            f"{result.matrix(measure, pair)[i, i]:.3f} ± {result.stderr(measure, pair)[i, i]:.3f}"
            for pair in pairs
            for measure in ("cka", "dcka")
        ]
        print(f"{layer:16}" + "".join(f"{cell:^20}" for cell in cells))
    best = result.matrix("cka", pairs[0]).argmax(1)
    hits = np.mean(np.abs(best - np.arange(len(best))) <= 1)
    print(f"\nThe most similar layer of the other trained network is the same one or its neighbour for {hits:.0%}.")
    for note in result.notes:
        print(f"note: {note}")

    figure, axes = plt.subplots(2, 2, figsize=(12, 10.5), layout="constrained")
    for row, pair in zip(axes, pairs, strict=True):
        for ax, measure in zip(row, ("cka", "dcka"), strict=True):
            result.plot(measure, ax, view=pair)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "demo.png", dpi=130)
    result.save(out / "demo.simw")
    print(f"\nresult:  {out / 'demo.simw'}\npicture: {out / 'demo.png'}")


if __name__ == "__main__":
    main()
