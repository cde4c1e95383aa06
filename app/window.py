"""The main window: docks, menus, the bar at the top and the line at the bottom. No logic."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QByteArray, QCoreApplication, QEvent, QSettings, QSize, Qt, QTimer
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QMainWindow,
    QMenu,
    QSizePolicy,
    QTabBar,
    QToolBar,
    QWidget,
)

from app import exporting, theme
from app.actions import ACTIONS, Action, choose_session_name, take_dropped
from app.bug_bench import BugBench
from app.card import Card
from app.examples import examples_menu
from app.export_menu import add_pictures
from app.fetch_bar import FetchBar
from app.file_menu import recent_menu
from app.first_hint import FirstHint
from app.first_hint import is_wanted as first_hint_wanted
from app.guide import Guide
from app.icons import icon
from app.key_guard import KeyGuard
from app.key_sheet import KeySheet
from app.link import EngineLink
from app.own_code import OwnCodeWatcher, ask_to_run
from app.panel import Panel, find_panels
from app.presentation import Presentation
from app.session import DRAFT, Selection, Session
from app.session_files import STATE_VERSION, SessionFiles
from app.settings import Preferences
from app.settings_window import SettingsWindow
from app.tab_order import move_focus
from app.transport import Transport
from app.widgets.smoothing import WIDTHS
from engine.protocol import BrokenChain

AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
    "strip": Qt.DockWidgetArea.BottomDockWidgetArea,
}
TABS = (  # panels that share a place, and which of them is in front at first
    (("gradient_check", "formula", "breakpoints"), "formula"),
    (("norms", "health", "beliefs"), "norms"),
)
FIRST_SIZE = QSize(1440, 900)  # or what the screen has
FRAME = QSize(8, 40)  # pixels that a window manager may put around
EDGE = 8  # pixels around the cards, as wide as the gaps between them


class Window(QMainWindow):
    """Nablascope's window."""

    def __init__(
        self, session: Session, link: EngineLink, appearance: theme.Appearance, settings: QSettings | None = None
    ) -> None:
        super().__init__()
        self.session, self.link, self.appearance, self._settings = session, link, appearance, settings
        self.setWindowIcon(icon("nabla", theme.current()))
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.setContentsMargins(EDGE, 0, EDGE, 0)
        self._take_first_size()
        self.files = SessionFiles(session, self, settings)
        self.files.choose_name = partial(choose_session_name, self)
        self._may_close = self._wrong = self._asking = False
        self._first_sizes_wanted = False
        self.commands = {name: self._make_action(name) for name in ACTIONS}
        self._add_transport()
        self.preferences = Preferences(session, appearance, settings)
        self.bench: BugBench | None = None
        self.settings_window: SettingsWindow | None = None
        self.guide: Guide | None = None
        self.first_hint: FirstHint | None = None
        self.panels: dict[str, Panel] = {}
        self.docks: dict[str, QDockWidget] = {}
        self._kinds = {kind.name(): kind for kind in find_panels()}
        self._late: list[tuple[type[Panel], Card]] = []  # panels made after the first frame
        for kind in self._kinds.values():
            self._add_panel(kind)
        session.shown.connect(self._fill_soon)
        self._add_menus()
        self._add_status_line()
        self.presentation = Presentation(self)
        self.reset_layout()
        self._restore()
        session.consent.ask = partial(ask_to_run, self)
        session.fits_partly.connect(partial(exporting.load_what_fits, session, self))
        self.own_code = OwnCodeWatcher(session, self)
        self.files.changed.connect(self._show_title)
        session.recipe_changed.connect(lambda _: self._follow_recipe())
        session.built.connect(lambda _: self._follow_recipe())
        session.selected.connect(self._show_formula)
        appearance.changed.connect(self._refresh_icons)
        self._key_guard = KeyGuard(self)
        QApplication.instance().installEventFilter(self._key_guard)  # type: ignore[union-attr]
        self._follow_recipe()
        if "flow" in self.panels:
            self.panels["flow"].setFocus()

    # --- parts --------------------------------------------------------------------------------

    def _make_action(self, name: str) -> QAction:
        command = ACTIONS[name]
        made = QAction(command.text, self)
        made.setObjectName(name)
        made.setShortcuts([QKeySequence(k) for k in command.keys])
        made.setToolTip(command.tip)
        made.setStatusTip("")
        if command.icon:
            made.setIcon(_icon_of(name))
        made.triggered.connect(partial(self._obey, command))
        self.addAction(made)
        return made

    def _obey(self, command: Action, _: bool = False) -> None:
        """Carry a command out; what was said before is over."""
        self.say("", False)
        command.run(self)

    def _add_transport(self) -> None:
        bar = self.bar = QToolBar("Transport", self)
        bar.setObjectName("transport")
        bar.setMovable(False)
        bar.toggleViewAction().setEnabled(False)
        self.transport = Transport(self.session, self.commands, bar)
        bar.addWidget(self.transport)
        self.addToolBar(bar)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)

    def _add_panel(self, kind: type[Panel]) -> None:
        name = kind.name()
        if kind.area == "centre":
            card = Card(kind, self, titled=True)
            self.setCentralWidget(card)
            self._greet(card)
        else:
            dock = self.docks[name] = QDockWidget(kind.title, self)
            dock.setObjectName(f"dock-{name}")
            card = Card(kind, dock, titled=False)
            is_strip = kind.area == "strip"  # which is too slim for a title
            dock.setTitleBarWidget(QWidget(dock) if is_strip else card.title_bar)
            card.title_bar.setVisible(not is_strip)
            theme.mark(card, "strip" if is_strip else "card")
            dock.setWidget(card)
            dock.visibilityChanged.connect(self._name_tabs)
        card.title_bar.help.wanted.connect(self.show_guide)
        if kind.late:
            self._late.append((kind, card))
        else:
            self._fill(kind, card)

    def _greet(self, card: Card) -> None:
        """A first hint above the Flow view, until it is sent away."""
        if self._settings is not None and first_hint_wanted(self._settings):
            self.first_hint = FirstHint(self._settings, card)
            self.first_hint.tour_wanted.connect(self.show_guide)
            card.put_above(self.first_hint)

    def _fill(self, kind: type[Panel], card: Card) -> None:
        self.panels[kind.name()] = panel = kind(self.session, card)
        card.hold(panel)

    def _fill_late(self) -> None:
        """Make the panels that the first frame did not wait for."""
        self.session.shown.disconnect(self._fill_soon)
        for kind, card in self._late:
            self._fill(kind, card)
        self._late.clear()

    def _fill_soon(self) -> None:
        QTimer.singleShot(0, self, self._fill_late)

    def _add_menus(self) -> None:
        menus: dict[str, QMenu] = {}
        for name, command in ACTIONS.items():
            menu: QMenu | None = None
            for title in command.menu.split("/"):
                if title not in menus:
                    menus[title] = (menu or self.menuBar()).addMenu(title)
                menu = menus[title]
            assert menu is not None
            if command.section:
                menu.addSeparator()
            menu.addAction(self.commands[name])
        after_open = menus["&File"].actions()[1]
        menus["&File"].insertMenu(after_open, recent_menu(self.files, menus["&File"]))
        menus["&File"].insertMenu(after_open, examples_menu(self, menus["&File"]))
        add_pictures(self, menus["E&xport"])
        menus["&View"].addSeparator()
        for dock in self.docks.values():
            menus["&View"].addAction(dock.toggleViewAction())

    def _add_status_line(self) -> None:
        self.message = QLabel()
        self.message.setAccessibleName("message")
        self.facts = QLabel()
        self.facts.setFont(theme.tabular(self.facts.font()))
        theme.mark(self.facts, "muted")
        self.statusBar().addWidget(self.message, 1)
        self.statusBar().addPermanentWidget(FetchBar(self.session))
        self.statusBar().addPermanentWidget(self.facts)
        self.statusBar().setSizeGripEnabled(False)
        self.message.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # what asks has the room
        self.session.said.connect(self.say)
        self.session.broken_changed.connect(self._on_broken)

    def say(self, sentence: str, wrong: bool) -> None:
        """Show one sentence in the line at the bottom, until the next command."""
        starts_with_word = sentence.partition(" ")[0].isalpha()  # not with the path of a field
        text = sentence[:1].upper() + sentence[1:] if starts_with_word else sentence
        self.message.setText(f"⚠  {text}" if wrong else text)
        self.message.setToolTip(sentence)
        self._wrong = wrong
        self._show_facts()
        theme.mark(self.message, "alert" if wrong else "muted")

    def ask_below(self, asking: bool) -> None:
        """A question stands in the line at the bottom, or no more."""
        self._asking = asking
        self._show_facts()

    def _show_facts(self) -> None:
        """But where a sentence or a question needs the room."""
        self.facts.setVisible(not (self._wrong or self._asking or self.presentation.active))

    def _on_broken(self, broken: BrokenChain | None) -> None:
        """What was said of a draft is over once it is whole."""
        if broken is None and self.message.toolTip().startswith(DRAFT):
            self.say("", False)

    # --- layout -------------------------------------------------------------------------------

    def reset_layout(self) -> None:
        """Every panel in its first place, at its first size."""
        last: dict[str, QDockWidget] = {}
        for name in sorted(self.docks, key=self._place):
            dock, area = self.docks[name], self._kinds[name].area
            beside = next(
                (self.docks[names[0]] for names, _ in TABS if name in names[1:] and names[0] in self.docks), None
            )
            dock.setFloating(False)
            self.removeDockWidget(dock)
            if beside is not None:
                self.tabifyDockWidget(beside, dock)
            elif area == "strip" and "bottom" in last:
                self.splitDockWidget(last["bottom"], dock, Qt.Orientation.Vertical)
            elif area == "bottom" and area in last:
                self.splitDockWidget(last[area], dock, Qt.Orientation.Horizontal)
            else:
                self.addDockWidget(AREAS[area], dock)
            dock.show()
            last[area] = dock
        for _, front in TABS:
            if front in self.docks:
                self.docks[front].raise_()
        self.setCorner(Qt.Corner.BottomLeftCorner, AREAS["left"])  # the forms need the height
        self.setCorner(Qt.Corner.BottomRightCorner, AREAS["bottom"])
        self._first_sizes_wanted = True
        QTimer.singleShot(0, self, self._set_first_sizes)  # once the docks have been laid out

    def _place(self, name: str) -> int:
        """When a dock is put in its place: the strip below the first at the bottom, before others come beside that."""
        area, order = self._kinds[name].area, self._kinds[name].order
        return order + 1 if area == "bottom" and order else 0 if area != "strip" else 1

    def _take_first_size(self) -> None:
        self.resize(FIRST_SIZE.boundedTo(QGuiApplication.primaryScreen().availableSize() - FRAME))

    def _set_first_sizes(self) -> None:
        """Proportions of the first look, unless a kept layout has taken their place."""
        if not self._first_sizes_wanted:
            return
        self._first_sizes_wanted = False
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        width, height = self.width(), self.height()
        shares = {
            "network": (across, 0.19 * width),
            "inspector": (across, 0.25 * width),
            "curves": (down, 0.22 * height),
        }
        for name, (direction, size) in shares.items():
            if name in self.docks:
                self.resizeDocks([self.docks[name]], [int(size)], direction)
        for upper, lower, share in (("network", "data", 0.6), ("inspector", "gradient_check", 0.45)):
            if upper in self.docks and lower in self.docks:
                pair = [self.docks[upper], self.docks[lower]]
                self.resizeDocks(pair, [int(1000 * share), int(1000 * (1 - share))], down)
        strips = [dock for name, dock in self.docks.items() if self._kinds[name].area == "strip"]
        self.resizeDocks(strips, [1] * len(strips), down)  # as slim as it may be
        if "curves" in self.docks and "norms" in self.docks:
            self.resizeDocks([self.docks["curves"], self.docks["norms"]], [1000, 1000], across)

    def _name_tabs(self, _: bool) -> None:
        """Tabs of docks come and go with them; Qt gives them no name."""
        for tabs in self.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
            tabs.setAccessibleName("panels that share a place")
            tabs.setToolTip("Panels that share this place; the arrow keys change between them")

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes through the window as one reads it."""
        return move_focus(self, forward)

    def show_bench(self) -> None:
        """Open the bug bench beside the window."""
        if self.bench is None:
            self.bench = BugBench(self.session, self)
        self.bench.show()
        self.bench.raise_()

    def show_settings(self) -> None:
        """Open the settings beside the window."""
        if self.settings_window is None:
            self.settings_window = SettingsWindow(self.preferences, self)
        self.settings_window.show()
        self.settings_window.raise_()
        self.settings_window.activateWindow()

    def show_keys(self) -> None:
        """Open the sheet of all keys."""
        sheet = self.findChild(KeySheet) or KeySheet(self)
        sheet.show()
        sheet.raise_()

    def show_guide(self, page: str) -> None:
        """Open the guide beside the window, at a page."""
        if self.guide is None:
            self.guide = Guide(self)
        self.guide.go(page)

    def show_panel(self, name: str) -> None:
        """Bring a panel to where it can be seen."""
        dock = self.docks.get(name)
        if dock is not None:
            dock.show()
            dock.raise_()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.UpdateLater)  # or Qt paints all that is shown twice

    def _show_formula(self, selection: Selection) -> None:
        """A cell was clicked: what it is made of comes to the front of its tabs."""
        dock = self.docks.get("formula")
        if selection.index is not None and dock is not None and self.tabifiedDockWidgets(dock):
            dock.raise_()

    def _restore(self) -> None:
        """Window and docks as they were left; never off every screen."""
        if self._settings is None:
            return
        smoothing = int(str(self._settings.value("curves/smoothing", 0, type=int)))
        self.session.smooth(smoothing if smoothing in WIDTHS else 0)
        self.session.set_loss_on_log(bool(self._settings.value("curves/log", False, type=bool)))
        geometry = self._settings.value("window/geometry", QByteArray(), type=QByteArray)
        state = self._settings.value("window/state", QByteArray(), type=QByteArray)
        if isinstance(geometry, QByteArray) and not geometry.isEmpty():
            self.restoreGeometry(geometry)
        if not any(s.availableGeometry().intersects(self.frameGeometry()) for s in QGuiApplication.screens()):
            self._take_first_size()
            self.move(QGuiApplication.primaryScreen().availableGeometry().topLeft())
        if isinstance(state, QByteArray) and not state.isEmpty():
            self._first_sizes_wanted = not self.restoreState(state, STATE_VERSION)
            if self._first_sizes_wanted:
                self.reset_layout()

    def showEvent(self, event: QShowEvent) -> None:
        """Have the first sizes before anything is painted, so that nothing jumps."""
        super().showEvent(event)
        layout = self.layout()
        if self._first_sizes_wanted and layout is not None:
            layout.activate()
            self._set_first_sizes()
            layout.activate()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the layout; changes that are not saved are asked about first."""
        if not self._may_close and self.files.modified and self.files.ask_to_save is not None:
            event.ignore()
            self.files.when_settled(self._close_settled)
            return
        self.presentation.end()
        if self._settings is not None:
            self._settings.setValue("window/geometry", self.saveGeometry())
            self._settings.setValue("window/state", self.saveState(STATE_VERSION))
            self._settings.setValue("curves/smoothing", self.session.smoothing)
            self._settings.setValue("curves/log", self.session.loss_on_log)
            self.preferences.write()
        super().closeEvent(event)

    def _close_settled(self) -> None:
        self._may_close = True
        QTimer.singleShot(0, self, self.close)  # Qt does not close what is just being asked to close

    def train_when_built(self, steps: int) -> None:
        """Train so many mini-batches as soon as the network stands."""

        def start() -> None:
            self.session.built.disconnect(start)
            if steps:
                self.session.train(steps)

        self.session.built.connect(start)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc ends a presentation."""
        if event.key() == Qt.Key.Key_Escape and self.presentation.active:
            self.presentation.end()
        else:
            super().keyPressEvent(event)

    # --- following ----------------------------------------------------------------------------

    def _show_title(self) -> None:
        """The file's name, with the system's mark where there are changes."""
        self.setWindowTitle(f"{self.files.name}[*] — Nablascope")
        self.setWindowModified(self.files.modified)

    def _follow_recipe(self) -> None:
        recipe = self.session.recipe
        self._show_title()
        self._name_undo("undo", self.session.can_undo(), self.session.undo_name)
        self._name_undo("redo", self.session.can_redo(), self.session.redo_name)
        network = self.session.network
        if network is not None:
            count = sum(layer.parameter_count for layer in network.layers)
            data = f"{network.data.training:,} samples to train, {network.data.validation:,} to validate"
            kept = "  ·  began with kept weights" if network.kept is not None else ""
            self.facts.setText(f"{data}  ·  {count:,} parameters  ·  {recipe.dtype}{kept}")

    def _name_undo(self, name: str, possible: bool, edit: str) -> None:
        """Undo or redo says which edit it is about."""
        command, made = ACTIONS[name], self.commands[name]
        made.setEnabled(possible)
        made.setText(f"{command.text}: {edit.replace('&', '&&')}" if edit else command.text)
        made.setToolTip(f"{command.text.replace('&', '')}: {edit}  ({command.keys[0]})" if edit else command.tip)

    def _refresh_icons(self) -> None:
        for name, made in self.commands.items():
            if ACTIONS[name].icon and name != "toggle_play":
                made.setIcon(_icon_of(name))

    # --- drops ----------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A session's or a recipe's file, or one of weights, may be dropped anywhere."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        take_dropped(self, [url.toLocalFile() for url in event.mimeData().urls()])


def _icon_of(name: str) -> QIcon:
    """The icon of an action in the present theme; a moon where the other theme is the dark one."""
    look = theme.current()
    to_dark = name == "toggle_theme" and look.name != "dark"
    return icon("moon" if to_dark else ACTIONS[name].icon, look)
