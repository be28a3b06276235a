"""Driving a real notebook server and real kernels through a real browser."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = Path(os.environ.get("SIMWIDGET_KERNELS", ROOT / ".venv" / "kernels"))
"""Folders with other ipykernels; `make test` fills it"""
FAST, SLOW = 20_000, 60_000
"""Milliseconds that a page and a cold kernel may take."""

VIEWPORT = {"width": 1300, "height": 1000}

MODULES = {"lab": "jupyterlab", "notebook": "notebook", "voila": "voila"}

SETUP = """
import time, torch, simwidget as sw
class Natural:
    # a loader that takes its time for every batch, as those that read files do
    def __init__(self, n_batches=60, seconds=0.05, labelled=False):
        self.n_batches, self.seconds, self.labelled = n_batches, seconds, labelled
        images, labels = zip(*sw.demo.load().loader.dataset)
        self.images, self.labels = torch.stack(images), torch.tensor(labels)
    def __len__(self):
        return self.n_batches
    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        for _ in range(self.n_batches):
            time.sleep(self.seconds)
            chosen = torch.randint(len(self.images), (16,), generator=generator)
            yield (self.images[chosen], self.labels[chosen]) if self.labelled else self.images[chosen]
models, _, _ = sw.demo.load()
pair = {name: models[name] for name in ("seed 0", "seed 1")}
comparison = sw.compare(pair, Natural({options}), gram_batch=16, device="cpu")
"""


class Server:
    """One notebook application over one folder."""

    def __init__(self, folder: Path, application: str, *options: str) -> None:
        self.folder, self.application = folder, application
        private = folder / "private"
        environment = dict(os.environ)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR"):
            environment[name] = str(private / name)
        environment["JUPYTERLAB_WORKSPACES_DIR"] = str(private / "workspaces")
        environment["IPYTHONDIR"] = str(private / "ipython")
        environment["JUPYTER_DATA_DIR"] = str(private / "data")
        environment["PYTHONPATH"] = str(ROOT)
        page_config = private / "JUPYTER_CONFIG_DIR" / "labconfig" / "page_config.json"
        page_config.parent.mkdir(parents=True)
        page_config.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}')
        self.settings = private / "JUPYTERLAB_SETTINGS_DIR"
        for path in sorted(KERNELS.glob("*/ipykernel")) if KERNELS.exists() else []:
            spec = private / "data" / "kernels" / path.parent.name
            spec.mkdir(parents=True)
            about = {
                "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": path.parent.name,
                "language": "python",
                "env": {"PYTHONPATH": os.pathsep.join([str(path.parent), str(ROOT)])},
            }
            (spec / "kernel.json").write_text(json.dumps(about))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", MODULES[application], "--no-browser"]
        if application == "voila":
            command += [f"--port={port}", "--Voila.ip=127.0.0.1"]
        else:
            exposed = "LabApp" if application == "lab" else "JupyterNotebookApp"
            command += [
                "--allow-root",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={folder}",
                "--IdentityProvider.token=",
                "--ServerApp.password=",
                "--ServerApp.disable_check_xsrf=True",
                f"--{exposed}.expose_app_in_browser=True",
            ]
        command += options
        self.log = (folder / "private" / "server.log").open("w")
        self.process = subprocess.Popen(command, env=environment, cwd=folder, stdout=self.log, stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self) -> None:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            assert self.process.poll() is None, Path(self.log.name).read_text()
            try:
                with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(Path(self.log.name).read_text())

    def get(self, path: str):
        return self.send("GET", path)

    def send(self, method: str, path: str, content=None):
        """Ask the server's REST API; what it answers, if anything."""
        data = json.dumps(content).encode() if content else None
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or "null")

    def connection_file(self, kernel: str) -> Path:
        return self.folder / "private" / "JUPYTER_RUNTIME_DIR" / f"kernel-{kernel}.json"

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Notebook:
    """One notebook in one page.

    A `page` that is given loads or has loaded JupyterLab, without a notebook; `spares` give the notebook its kernel.
    """

    def __init__(self, server: Server, context, name: str, page=None, spares=None) -> None:
        self.server, self.context, self.name, self.spares = server, context, name, spares
        self.path = server.folder / name
        self.is_loaded = page is not None
        self.page = page or context.new_page()
        self.page.set_default_timeout(FAST)

    def write(self, *cells: str, kernel: str = "python3") -> "Notebook":
        import nbformat

        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        nbformat.write(book, self.path)
        if self.spares:
            self.spares.take_kernel(self.name, kernel)
        return self

    def open(self) -> "Notebook":
        page = self.page
        if self.is_loaded:
            page.wait_for_function("() => window.jupyterapp?.shell.currentWidget", timeout=SLOW)
            page.evaluate("(path) => void window.jupyterapp.commands.execute('docmanager:open', { path })", self.name)
            seen = "(path) => window.jupyterapp.shell.currentWidget.context?.path === path"
            page.wait_for_function(seen, arg=self.name)
        else:
            where = "lab/tree" if self.server.application == "lab" else "notebooks"
            page.goto(f"{self.server.url}/{where}/{self.name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached", timeout=SLOW)
        page.wait_for_function("() => window.jupyterapp.commands.hasCommand('notebook:run-cell')", timeout=SLOW)
        return self

    def ready(self) -> "Notebook":
        """Wait for the kernel."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=SLOW,
        )
        return self

    def run(self, index: int, wait: bool = True) -> None:
        """Run one cell, and wait until it has returned."""
        page = self.page
        page.evaluate("(i) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i }", index)
        before = self.count(index)
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-cell')")
        if wait:
            page.wait_for_function(
                """([i, before]) => {
                    const { model } = window.jupyterapp.shell.currentWidget.content.widgets[i];
                    return model.executionCount !== null && model.executionCount !== before
                        && model.executionState !== 'running';
                }""",
                arg=[index, before],
                timeout=SLOW,
            )

    def count(self, index: int):
        return self.page.evaluate(
            "(i) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.executionCount", index
        )

    def text(self, index: int) -> str:
        """What a cell printed or returned, as text."""
        return self.page.evaluate(
            """(i) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs.toJSON()
                .map((one) => one.text ?? one.data?.['text/plain'] ?? one.evalue ?? '').flat().join('')""",
            index,
        )

    def ask(self, index: int, code: str) -> str:
        """Put code into a cell, run it, and return what it printed."""
        self.page.evaluate(
            """([i, code]) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.sharedModel
                .setSource(code)""",
            [index, code],
        )
        self.run(index)
        return self.text(index)

    def save(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def wait_for_state(self, *states: str, page=None, timeout: int = FAST) -> None:
        (page or self.page).wait_for_function(
            "(states) => states.includes(document.querySelector('.simwidget-heatmap .run')?.dataset.state)",
            arg=list(states),
            timeout=timeout,
        )


def setup(options: str = "") -> str:
    """The first cell: two networks and a loader that takes its time."""
    return SETUP.replace("{options}", options)
