"""Every command of the app, one function each; menu, toolbar and shortcuts are made from this list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

from app import exporting, guide, theme
from app.choose_file import ask_where
from app.saving import SavedFile, SavingError
from app.widgets import smoothing
from engine.protocol import LoadWeights
from engine.recipe import Recipe
from engine.session_file import SUFFIX
from engine.spec import RecipeError

if TYPE_CHECKING:
    from app.window import Window

RECIPES = ("Recipes (*.json)",)
SESSIONS = (f"Sessions (*{SUFFIX})",)
OPENED = "Sessions and recipes (*.nabla *.json)"


@dataclass(frozen=True)
class Action:
    """A command as menus and toolbars need it; the tool tip is its function's docstring."""

    run: Callable[[Window], None]
    text: str
    menu: str
    icon: str = ""
    keys: tuple[str, ...] = ()
    section: bool = False  # begins a new section of its menu

    @property
    def name(self) -> str:
        """The function's name."""
        return self.run.__name__

    @property
    def tip(self) -> str:
        """What it does and its key."""
        keys = f"  ({' or '.join(self.keys)})" if self.keys else ""
        return (self.run.__doc__ or self.text).rstrip(".") + keys


ACTIONS: dict[str, Action] = {}


def action(
    text: str, menu: str, icon: str = "", keys: tuple[str, ...] = (), *, section: bool = False
) -> Callable[[Callable[[Window], None]], Callable[[Window], None]]:
    """Make a function a command."""

    def register(run: Callable[[Window], None]) -> Callable[[Window], None]:
        ACTIONS[run.__name__] = Action(run, text, menu, icon, keys, section)
        return run

    return register


# --- File ---------------------------------------------------------------------------------------


@action("&Open…", "&File", "open", ("Ctrl+O",))
def open_file(window: Window) -> None:
    """Open a session or a recipe from a file."""
    path, _ = QFileDialog.getOpenFileName(window, "Open", "", OPENED)
    if path:
        load_file(window, path)


def load_file(window: Window, path: str) -> None:
    """Go on with the session, or train by the recipe, in a file; says in one sentence why where that cannot be."""
    if Path(path).suffix.lower() == SUFFIX:
        window.files.open(path)
        return
    window.say("", False)  # what was said of the run before is no word on this one
    try:
        window.session.use(Recipe.from_file(path), fresh=True)
    except RecipeError as error:
        window.session.said.emit(str(error), True)


def take_dropped(window: Window, paths: list[str]) -> None:
    """Open the one session or recipe, or load the one file of weights, that was dropped; says why not of others."""
    kinds = "a session (.nabla), a recipe (.json) or weights (.npz, .safetensors)"
    if len(paths) != 1:
        window.session.said.emit(f"several files were dropped and none was opened; drop one: {kinds}", True)
    elif (ending := Path(paths[0]).suffix.lower()) in (SUFFIX, ".json"):
        load_file(window, paths[0])
    elif ending in (".npz", ".safetensors"):
        window.session.exchange(LoadWeights(paths[0]))
    else:
        window.session.said.emit(f"only {kinds} can be dropped here, not {Path(paths[0]).name or 'this'}", True)


@action("&Save", "&File", "save", ("Ctrl+S",), section=True)
def save(window: Window) -> None:
    """Save the session into its file: the recipe, the run with its forks, its timeline, breakpoints and layout."""
    window.files.save()


@action("Save &as…", "&File", keys=("Ctrl+Shift+S",))
def save_as(window: Window) -> None:
    """Save the session into another file."""
    path = choose_session_name(window)
    if path:
        window.files.save(path)


def choose_session_name(window: Window) -> str:
    """Ask where to save the session; "" where the user thinks better of it."""
    known = window.files.path
    name, folder = (known.stem, known.parent) if known is not None else (window.session.recipe.name, "")
    return ask_where(window, "Save session", name, SESSIONS, folder)


@action("Save re&cipe as…", "&File", keys=("Ctrl+Alt+R",))
def save_recipe(window: Window) -> None:
    """Save the recipe alone as a JSON file."""
    path = ask_where(window, "Save recipe", window.session.recipe.name, RECIPES)
    if path:
        write_recipe(window, path)


def write_recipe(window: Window, path: str) -> None:
    """Write the recipe to a file, whole or not at all."""
    try:
        with SavedFile(path) as file:
            file.write(window.session.recipe.to_json().encode())
    except SavingError as error:
        window.session.said.emit(str(error), True)
    else:
        window.session.said.emit(f"saved {Path(path).name}", False)


EXPORT, IMPORT = "&File/E&xport", "&File/&Import"


@action("As &PyTorch…", EXPORT)
def export_torch(window: Window) -> None:
    """Export a PyTorch script or notebook that goes on from here and gives the next ten losses."""
    exporting.export_script(window.session, window, "torch")


@action("As &NumPy…", EXPORT)
def export_numpy(window: Window) -> None:
    """Export a script for NumPy alone, forward and backward written out, that gives the next ten losses."""
    exporting.export_script(window.session, window, "numpy")


@action("&Weights…", EXPORT, section=True)
def save_weights(window: Window) -> None:
    """Save all weights as they are here, as .npz or .safetensors."""
    exporting.save_weights(window.session, window)


@action("&Curves…", EXPORT)
def save_curves(window: Window) -> None:
    """Save the numbers of every step of this run, as .csv or .npz."""
    exporting.save_curves(window.session, window)


@action("Selected &tensor…", EXPORT)
def save_tensor(window: Window) -> None:
    """Save the selected tensor with every entry, as .csv or .npz."""
    exporting.save_tensor(window.session, window)


@action("&Weights…", IMPORT)
def load_weights(window: Window) -> None:
    """Take weights from an .npz or .safetensors file and go on with them; in the past on a fork."""
    exporting.load_weights(window.session, window)


@action("&Quit", "&File", keys=("Ctrl+Q",), section=True)
def close_window(window: Window) -> None:
    """Close Nablascope."""
    window.close()


# --- Edit ---------------------------------------------------------------------------------------


@action("&Undo", "&Edit", "undo", ("Ctrl+Z",))
def undo(window: Window) -> None:
    """Take the last change of the recipe back."""
    _say("Undid", window.session.undo_name, window)
    window.session.undo()


@action("&Redo", "&Edit", "redo", ("Ctrl+Shift+Z", "Ctrl+Y"))
def redo(window: Window) -> None:
    """Make the change again that was taken back."""
    _say("Did again", window.session.redo_name, window)
    window.session.redo()


def _say(what: str, edit: str, window: Window) -> None:
    if edit:
        window.session.said.emit(f"{what}: {edit}", False)


@action("Se&ttings…", "&Edit", keys=("Ctrl+,",), section=True)
def show_settings(window: Window) -> None:
    """Look, text size, colours, memory, threads, frame rate and live check."""
    window.show_settings()


# --- Run ----------------------------------------------------------------------------------------


@action("&Play or pause", "&Run", "play", ("Space", "F5"))
def toggle_play(window: Window) -> None:
    """Play or pause: one mini-batch after the other."""
    window.session.toggle_play()


@action("Play bac&kwards", "&Run", "play-back", ("Shift+Space",))
def play_back(window: Window) -> None:
    """Play backwards through the mini-batches that have been computed."""
    window.session.play(back=True)


@action("Next &epoch", "&Run", "", ("Ctrl+Right",), section=True)
def step_epoch(window: Window) -> None:
    """Compute the rest of the epoch."""
    window.session.step("epoch")


@action("Step &out: one mini-batch", "&Run", "step-batch", ("Right", "Shift+F11"))
def step_batch(window: Window) -> None:
    """Compute the next mini-batch, or finish the one that is begun."""
    window.session.step("batch")


@action("Step over: one p&hase", "&Run", "step-phase", ("Down", "F10"))
def step_phase(window: Window) -> None:
    """Compute the next operation: batch, one layer forward, loss, one layer backward, or update."""
    window.session.step("phase")


@action("Step &into: one part", "&Run", "step-into", ("Ctrl+Down", "F11"))
def step_part(window: Window) -> None:
    """Compute the next part of an operation: grad_W, then grad_b, then grad_x; of a norm, first its mean."""
    window.session.step("part")


@action("R&un to the selected tensor", "&Run", "run-to", ("Ctrl+F10",))
def step_to_selected(window: Window) -> None:
    """Run to the next time that the selected tensor has been computed."""
    window.session.step_to_selected()


@action("&Breakpoint at the selected tensor", "&Run", keys=("F8",))
def toggle_breakpoint(window: Window) -> None:
    """Stop whenever the selected tensor has been computed, or no more."""
    window.session.toggle_break_at_selected()


@action("Back one epoch", "&Run", "", ("Ctrl+Left",), section=True)
def back_epoch(window: Window) -> None:
    """Back to the end of the epoch before."""
    window.session.step("epoch", back=True)


@action("Back one mini-batch", "&Run", "step-batch-back", ("Left",))
def back_batch(window: Window) -> None:
    """Back to the end of the mini-batch before."""
    window.session.step("batch", back=True)


@action("Back one phase", "&Run", "step-phase-back", ("Up", "Shift+F10"))
def back_phase(window: Window) -> None:
    """Back to the operation before."""
    window.session.step("phase", back=True)


@action("Back one part", "&Run", "", ("Ctrl+Up", "Ctrl+F11"))
def back_part(window: Window) -> None:
    """Back to the part of an operation before."""
    window.session.step("part", back=True)


@action("Back to the selected tensor", "&Run", "", ("Ctrl+Shift+F10",))
def back_to_selected(window: Window) -> None:
    """Back to the last time that the selected tensor had been computed."""
    window.session.step_to_selected(back=True)


@action("&Restart with the same weights", "&Run", "restart", ("Home",), section=True)
def restart(window: Window) -> None:
    """A fork at step 0 with the very weights this run began with; what was computed before stays on its own path."""
    window.session.restart()


@action("Restart with &new weights", "&Run", "restart-new", ("Shift+Home",))
def restart_with_new_weights(window: Window) -> None:
    """Back to step 0 with weights drawn anew."""
    window.session.restart_with_new_weights()


@action("&Check gradients", "&Run", "check", ("F9",), section=True)
def check_gradients(window: Window) -> None:
    """Hold every analytic gradient of this mini-batch against a numerical one."""
    window.show_panel("gradient_check")
    window.session.check()


@action("Plant a bu&g…", "&Run")
def plant_bug(window: Window) -> None:
    """Plant a bug into a layer of this network, openly or hidden, to be found."""
    window.show_bench()


@action("&Stop the engine", "&Run", "cancel", section=True)
def stop_engine(window: Window) -> None:
    """End whatever the engine is doing, at any time; a new one goes on from the last saved step."""
    window.link.restart()


# --- View ---------------------------------------------------------------------------------------


@action("&Light or dark", "&View", "sun", ("Ctrl+T",))
def toggle_theme(window: Window) -> None:
    """Change between the light and the dark look."""
    window.appearance.set_mode("light" if theme.current().name == "dark" else "dark")


@action("Look as the s&ystem", "&View")
def follow_system(window: Window) -> None:
    """Light or dark as the system has it."""
    window.appearance.set_mode("system")


@action("L&arger text", "&View", keys=("Ctrl++", "Ctrl+="), section=True)
def zoom_in(window: Window) -> None:
    """Everything a little larger."""
    window.appearance.set_point_size(window.appearance.point_size + 1)


@action("&Smaller text", "&View", keys=("Ctrl+-",))
def zoom_out(window: Window) -> None:
    """Everything a little smaller."""
    window.appearance.set_point_size(window.appearance.point_size - 1)


@action("&Normal text", "&View", keys=("Ctrl+0",))
def zoom_reset(window: Window) -> None:
    """Text in its first size."""
    window.appearance.set_point_size(theme.POINT_SIZE)


@action("Sort samples by &class", "&View", keys=("Ctrl+B",), section=True)
def sort_by_class(window: Window) -> None:
    """The samples of each mini-batch sorted by class in the Flow view, or as they were drawn."""
    window.session.sort_by_class(not window.session.by_class)


@action("S&mooth the curves", "&View", keys=("Ctrl+M",))
def smooth_curves(window: Window) -> None:
    """Lay the mean over 11 steps, over 101, or none over the curves of loss and accuracy."""
    widths, now = smoothing.WIDTHS, window.session.smoothing
    window.session.smooth(widths[(widths.index(now) + 1) % len(widths)])


@action("Loss on a l&og scale", "&View", keys=("Ctrl+L",))
def loss_on_log(window: Window) -> None:
    """Draw the loss on a log scale, so that one that explodes can be read, or from zero."""
    window.session.set_loss_on_log(not window.session.loss_on_log)


@action("&Present the panel under the pointer", "&View", keys=("F6",))
def present(window: Window) -> None:
    """One panel alone on the full screen, larger, for a class; again, or Esc, to come back."""
    if window.presentation.active:
        window.presentation.end()
    else:
        window.presentation.begin(window.presentation.pointed_panel())


@action("&Reset layout", "&View", "layout", section=True)
def reset_layout(window: Window) -> None:
    """Every panel back to its first place."""
    window.reset_layout()


# --- Help ---------------------------------------------------------------------------------------


@action("&Keys", "&Help", keys=("F1", "?"))
def show_keys(window: Window) -> None:
    """All keys on one sheet."""
    window.show_keys()


@action("&Guide", "&Help", keys=("Shift+F1",))
def show_guide(window: Window) -> None:
    """The user guide: every panel, recipes, your own code, scripts, questions."""
    window.show_guide(guide.FIRST_PAGE)


@action("A &tour", "&Help")
def show_tour(window: Window) -> None:
    """Five minutes with this window."""
    window.show_guide(guide.TOUR)


@action("&About Nablascope", "&Help")
def show_about(window: Window) -> None:
    """What this is."""
    QMessageBox.about(
        window, "Nablascope", f"Nablascope {QApplication.applicationVersion()}: an oscilloscope for backpropagation."
    )
