"""What all tests share."""

import os
import shutil
from pathlib import PurePath

import matplotlib
import pytest

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:  # beside others: more threads would wait for each other; read by the processes that tests start, too
    os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402

matplotlib.use("Agg")

SERVERS, PAGES = "notebook", "widget"
"""Folders whose tests share servers, a browser and large results."""
WAITING = "test_long_runs.py"
"""A file of notebooks that mostly waits: it has a worker, and a server, of its own."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The notebooks first, as they take longest, and of them those that mostly wait."""
    if IS_WORKER:
        items.sort(key=lambda item: (item.path.parent.name != SERVERS, item.path.name != WAITING))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of several workers one has a whole file, and one all files of a folder that shares more."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = PurePath(nodeid.partition("::")[0])
            shares = path.parent.name in (SERVERS, PAGES) and path.name != WAITING
            return path.parent.name if shares else str(path)

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("the browser tests need chromium: make browser")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
