"""What was validated: model, run and selection, as the files say of themselves."""

from dataclasses import dataclass
from pathlib import Path

from photoz_models.errors import PhotozError
from photoz_run.catalogue.stated import stated_facts
from photoz_run.config import load_config
from photoz_run.tables.table import Table

SIMULATED = "trained on simulations: not for science"


@dataclass(frozen=True)
class Subject:
    """The model, the run and the selection behind a catalogue; "" for what is not known."""

    model: str = ""
    model_version: str = ""
    model_digest: str = ""
    """sha256 of the bundle."""
    model_training: str = ""
    """Name of the training set."""
    simulated_training: bool = False
    run_digest: str = ""
    run_selection: str = ""
    """Which sources the run measured."""
    validated_selection: str = ""
    """Which of them were validated."""

    @property
    def banner(self) -> str:
        """What must be said before any number; "" if nothing must."""
        if not self.simulated_training:
            return ""
        return f"The model {self.model} {self.model_version} was {SIMULATED}."


def read_subject(table: Table, run_selection: str = "", validated_selection: str = "") -> Subject:
    """What the first file of a catalogue says of its making; nothing of a foreign table.

    Parameters
    ----------
    run_selection, validated_selection
        What the file itself does not say.
    """
    facts = stated_facts(table.files()[0])
    names = ("model", "model_version", "model_digest", "model_training", "run_digest")
    return Subject(
        **{name: facts.get(name, "") for name in names},
        simulated_training=facts.get("simulated_training") == "True",
        run_selection=run_selection,
        validated_selection=validated_selection,
    )


def selection_of_run(path: Path) -> str:
    """Which sources the run in ``path`` measured; "" if it is none, or one of another version."""
    try:
        return load_config(path / "run.toml", {}).select
    except PhotozError:
        return ""
