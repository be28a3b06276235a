"""What takes seconds to start is ready before a test asks for it: a kernel that has imported torch, a JupyterLab page.

Each is used by one test only. While that test runs, the next ones start.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from urllib.error import HTTPError

from jupyter_client import BlockingKernelClient
from jupyter_pages import VIEWPORT, Server

KERNEL = "python3"
IMPORTS = """
import torch, simwidget
simwidget.demo, simwidget.compare, simwidget.SimilarityHeatmap  # each is imported when it is first asked for
del torch, simwidget
"""


class Spares:
    """One kernel and one page of a server's JupyterLab."""

    def __init__(self, server: Server, browser) -> None:
        self.server, self.browser = server, browser
        self._cleaner = ThreadPoolExecutor(1, "shut kernels down")
        self._cleaned: list[Future] = []
        self._start_kernel()
        self._start_page()

    def take_page(self):
        """A page of a browser context of its own that loads or has loaded JupyterLab, without a notebook."""
        page = self._page
        self._start_page()
        return page

    def take_kernel(self, path: str, kernel: str) -> None:
        """Give a notebook its kernel before a page opens it; kernels of other names start with the page."""
        if kernel != KERNEL:
            return
        session = {"path": path, "name": path, "type": "notebook", "kernel": {"id": self._kernel}}
        self.server.send("POST", "/api/sessions", session)
        self._client.stop_channels()
        self._start_kernel()

    def renew_page(self) -> None:
        """After the server's settings were others: a page reads them when it loads."""
        self._page.context.close()
        self._start_page()

    def shut_down(self) -> None:
        """End the kernels of all notebooks; the next test need not wait for that."""
        for session in self.server.get("/api/sessions"):
            self._cleaned.append(self._cleaner.submit(self._end, session["id"]))

    def close(self) -> None:
        self._page.context.close()
        self._client.stop_channels()
        self._cleaner.shutdown()
        for one in self._cleaned:
            one.result()

    def _end(self, session: str) -> None:
        try:
            self.server.send("DELETE", f"/api/sessions/{session}")
        except HTTPError as error:
            if error.code != 404:  # a page may have ended it meanwhile
                raise

    def _start_page(self) -> None:
        self._page = self.browser.new_context(viewport=VIEWPORT).new_page()
        self._page.goto(f"{self.server.url}/lab?reset", wait_until="commit")

    def _start_kernel(self) -> None:
        """The kernel imports as soon as it listens, and before it does what a notebook asks of it."""
        self._kernel = self.server.send("POST", "/api/kernels", {"name": KERNEL})["id"]
        self._client = BlockingKernelClient(connection_file=str(self.server.connection_file(self._kernel)))
        self._client.load_connection_file()
        self._client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        self._client.execute(IMPORTS, silent=True, store_history=False)
