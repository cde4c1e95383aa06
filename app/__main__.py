"""The start-up story: arguments, display, engine, Qt, window."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence

from app import cli, startup
from engine.filecheck import BUNDLED_CHILD
from engine.layers.custom import own_files
from engine.recipe import Recipe
from engine.spec import RecipeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Nablascope; the exit code: 0 all right, 2 could not, 1 where `check` finds a wrong gradient."""
    options = cli.parse(sys.argv[1:] if arguments is None else arguments)
    if options.command == "train":
        return cli.train(options)
    if options.command == "export":
        return cli.export(options)
    if options.command == "check":
        from app.check_command import check

        return check(options)
    try:
        recipe = cli.find_recipe(None if cli.is_session(options.recipe) else options.recipe)
    except RecipeError as error:
        return cli.refuse(error)
    if options.screenshot:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    elif not startup.has_display():
        _do_without_display(options)
    problem = startup.missing_system_libraries() or startup.silent_display()
    if problem:
        return cli.refuse(problem)
    return _open_window(recipe, options)


def _do_without_display(options: argparse.Namespace) -> None:
    """No screen: make a picture instead."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    options.screenshot = "nablascope.png"
    options.steps = cli.WITHOUT_DISPLAY if options.steps is None else options.steps
    print(
        f"nablascope: there is no display (DISPLAY and WAYLAND_DISPLAY are not set); training {options.steps} "
        f"mini-batches and saving the window as {options.screenshot} instead",
        file=sys.stderr,
    )


def _open_window(recipe: Recipe, options: argparse.Namespace) -> int:
    """The engine starts first, in its own process, while this one is still importing Qt."""
    from app.engine_process import EngineProcess
    from app.logs import log_file, watch_for_crashes

    own_code = own_files(recipe.layers)  # is not run before the user, in the window, says yes
    engine = EngineProcess(log_file("engine.log"), cli.find_recipe(None) if own_code else recipe)
    try:
        from PySide6.QtCore import QEvent, QSettings
        from PySide6.QtWidgets import QApplication

        from app import theme
        from app.consent import Consent
        from app.link import EngineLink
        from app.look_after import look_after_files, open_at_start
        from app.session import Session
        from app.settings import kept
        from app.tasks import screenshot, tell_first_frame
        from app.window import FIRST_SIZE, Window
    except BaseException:
        engine.close()
        raise

    application = QApplication.instance() or QApplication(["nablascope"])
    assert isinstance(application, QApplication)
    application.setApplicationName("nablascope")
    application.setApplicationVersion("0.1.0")
    application.setDesktopFileName("io.github.nablascope.Nablascope")  # under which a desktop finds name and icon
    watch_for_crashes()
    settings = QSettings("nablascope", "nablascope")
    link = EngineLink(engine, log_file("engine.log"))
    autosave = None
    try:
        session = Session(link, cli.find_recipe(None) if own_code else recipe, Consent(settings))
        for_picture = bool(options.screenshot or options.probe_start)
        store = None if for_picture else settings
        first = kept(store)
        appearance = theme.Appearance(application, first.theme, first.text_size, first.colours)
        window = Window(session, link, appearance, store)
        if for_picture:
            window.resize(FIRST_SIZE)  # whatever the screen
        window.show()
        if own_code:
            session.consent.allow_files(options.trust)
            session.use(recipe)
        if not for_picture:
            autosave = look_after_files(window)
        if cli.is_session(options.recipe):
            open_at_start(window, options)
        elif options.probe_start:
            tell_first_frame(window)
        elif options.screenshot:
            screenshot(window, options.steps or 0, options.screenshot)
        elif options.steps:
            window.train_when_built(options.steps)
        code: int = application.exec()
        window.close()
        window.deleteLater()
        application.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)  # while the session still lives
        return code
    finally:
        link.close()
        if autosave is not None:
            autosave.close()  # once nobody writes it any more


if __name__ == "__main__":
    multiprocessing.freeze_support()  # in a bundle the engine's process begins here too
    if sys.argv[1:] == [BUNDLED_CHILD]:
        from engine.filecheck.child import main as check_one_file  # its half of the engine is only needed here

        check_one_file()
        sys.exit()
    sys.exit(main())
