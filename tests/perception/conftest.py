"""Networks in tests: as many threads as there are cores in all, not in every worker."""

import os

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread_for_each_worker():
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)
