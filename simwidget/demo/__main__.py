"""Runs the quickstart notebook on the embedded example: `python -m simwidget.demo NOTEBOOK [--out FOLDER]`.

The notebook runs in a new kernel with the working directory FOLDER (by default "out"), and saves a result in this
folder. Then this program prints a few numbers from the result, and draws four of its matrices into FOLDER/demo.png.
"""

import argparse
from pathlib import Path

import numpy as np

import simwidget as sw
from simwidget.files.atomic import open_for_writing

LAYERS = ("stem.0", "stage1.1", "stage2.1", "stage3.1", "classifier")
PAIRS = (("seed 0", "seed 1"), ("seed 0", "untrained"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path, help="the quickstart notebook")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files that the notebook writes")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    execute(arguments.notebook, arguments.out)
    result = sw.SimilarityResult.load(arguments.out / "similarity.simw")
    describe(result)
    draw(result, arguments.out / "demo.png")
    print(f"\nnotebook: {arguments.out / arguments.notebook.name}\npage:     {arguments.out / 'similarity.html'}")
    print(f"picture:  {arguments.out / 'demo.png'}")


def execute(notebook: Path, out: Path) -> None:
    """Run the notebook in a kernel with the working directory `out`. Save the notebook with its outputs in `out`."""
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    print(f"running {notebook} in a kernel")
    NotebookClient(content, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(out)}}).execute()
    with open_for_writing(out / notebook.name, "w", encoding="utf-8") as file:
        nbformat.write(content, file)


def describe(result: sw.SimilarityResult) -> None:
    """Print how similar the same layer is in two models: CKA and dCKA with standard errors, for `LAYERS` and `PAIRS`.

    For the first pair, also print the share of layers whose most similar layer in the second model is the same layer or
    a direct neighbour. Then print the notes of the result.
    """
    print(f"\n{result.n_samples} images, {len(result.layers('seed 0'))} layers a network; same layer, value ± error:\n")
    print(f"{'':16}" + "".join(f"{' × '.join(pair):^40}" for pair in PAIRS))
    print(f"{'layer':16}" + f"{'CKA':^20}{'dCKA':^20}" * len(PAIRS))
    for layer in LAYERS:
        i = result.layers("seed 0").index(layer)
        cells = [
            f"{result.matrix(measure, pair)[i, i]:.3f} ± {result.stderr(measure, pair)[i, i]:.3f}"
            for pair in PAIRS
            for measure in ("cka", "dcka")
        ]
        print(f"{layer:16}" + "".join(f"{cell:^20}" for cell in cells))
    best = result.matrix("cka", PAIRS[0]).argmax(1)
    share = np.mean(np.abs(best - np.arange(len(best))) <= 1)
    print(f"\nThe most similar layer of the other trained network is the same one or its neighbour for {share:.0%}.")
    for note in result.notes:
        print(f"note: {note}")


def draw(result: sw.SimilarityResult, path: Path) -> None:
    """Draw CKA and dCKA of the two `PAIRS` of models as four heatmaps, and save them as one PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 10.5), layout="constrained")
    for row, pair in zip(axes, PAIRS, strict=True):
        for ax, measure in zip(row, ("cka", "dcka"), strict=True):
            result.plot(measure, ax, view=pair)
    with open_for_writing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=130)


if __name__ == "__main__":
    main()
