import shutil

import pytest
from run_fixture import make_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run. Do not change it: take ``run_dir``, a copy."""
    return make_run(tmp_path_factory.mktemp("runs") / "trained")


@pytest.fixture
def run_dir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")
