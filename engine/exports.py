"""What the app asks of files: scripts, weights, curves, tensors; each is told of in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine import protocol, tables, weights
from engine.files import FileError
from engine.layers.base import Array
from engine.run import Run
from engine.spec import RecipeError
from engine.timeline import RunError

Send = Callable[[protocol.Event], None]


class Exports:
    """Carries the commands out, each raises RunError, one sentence, and then nothing has changed."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def obey(self, command: protocol.Exported, run: Run) -> None:
        """Carry one command out but SaveTensor, whose tensor only the host knows."""
        try:
            getattr(self, "_on_" + type(command).__name__.lower())(command, run)
        except RecipeError as error:
            raise RunError(str(error)) from None

    def save_tensor(self, command: protocol.SaveTensor, array: Array | None) -> None:
        """Write a tensor as it is shown."""
        if array is None:
            raise RunError(f"{command.address} is not computed yet, so there is nothing to save; step on until it is")
        path = Path(command.path)
        try:
            tables.save_tensor(path, command.address, array)
        except FileError as error:
            raise RunError(str(error)) from None
        self._say(f"saved {command.address} as {path.name}")

    def _say(self, sentence: str) -> None:
        self._send(protocol.Written(sentence))

    def _on_exportscript(self, command: protocol.ExportScript, run: Run) -> None:
        from engine.export.moment import moment_of, refuse_what_cannot_be_written  # only needed here
        from engine.export.script import export

        refuse_what_cannot_be_written(run.trainer.recipe)
        with run.aside() as trainer:
            moment = moment_of(trainer, run.recorder.pulse)
        script, arrays = export(moment, Path(command.path), command.target)
        self._say(f"exported {script.name}, with its data in {arrays.name} beside it")

    def _on_saveweights(self, command: protocol.SaveWeights, run: Run) -> None:
        path, tensors = Path(command.path), weights.of_network(run.trainer.network)
        weights.save(path, tensors)
        self._say(f"saved {len(tensors)} tensors of step {run.recorder.here.step} as {path.name}")

    def _on_loadweights(self, command: protocol.LoadWeights, run: Run) -> None:
        path = Path(command.path)
        tensors = weights.load(path)
        fits, problems = weights.fitting(run.trainer.network, tensors)
        if problems and not (fits and command.partly):
            sentence = weights.misfit(path, problems)
            if not fits:
                raise RunError(f"{sentence}; nothing of it can be used, choose weights of a network like this one")
            self._send(protocol.FitsPartly(command.path, sentence, len(fits)))
            return
        run.load(fits, path.name)
        self._say(f"loaded {len(fits)} of the {len(tensors)} tensors in {path.name}")

    def _on_savecurves(self, command: protocol.SaveCurves, run: Run) -> None:
        path = Path(command.path)
        tables.save_curves(path, run.history, run.path.first_step, run.recorder.pulse)
        self._say(f"saved {len(run.history) - run.path.first_step} steps as {path.name}")
