"""The notebook runs from its first cell to its last, and is committed without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

from emostream.models import ferplus

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "models" / "training.ipynb"
FER = ROOT / ferplus.FOLDER


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.skipif(not FER.exists(), reason=f"needs the training data folder {ferplus.FOLDER}")
@pytest.mark.evidence
@pytest.mark.timeout(300)
def test_the_notebook_runs_on_a_small_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SUBSET": "64", "EPOCHS": "2", "FER": str(FER.resolve())}.items():
        monkeypatch.setenv(f"EMOSTREAM_{name}", value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(notebook, timeout=240).execute(cwd=str(ROOT))
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "epoch 2: loss" in printed
    assert "Protocol B, " in printed
