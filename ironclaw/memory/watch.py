"""Tells which files of a folder other programs change, within about 0.1 s. What is done then is `keeper.py`."""

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

log = logging.getLogger(__name__)

# A batch is handed on after a quiet step, or when it is this old: milliseconds.
_STEP, _DEBOUNCE = 25, 75


def _rust_notify() -> "type[RustNotify]":
    """The watch itself. The package around it would bring an event loop library: 4 MB that nobody needs here."""
    package = importlib.util.find_spec("watchfiles")
    spec = PathFinder.find_spec("watchfiles._rust_notify", package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        raise RuntimeError("watchfiles is not installed as it should be")
    module = sys.modules.get(spec.name) or importlib.util.module_from_spec(spec)
    if spec.name not in sys.modules:
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    kind: type[RustNotify] = module.RustNotify
    return kind


class Watcher:
    """Watches the folder *root* with all beneath it from its construction on, in a thread of its own, until `close()`.

    *noticed* is called in that thread with the paths (relative to *root*; notes, folders and others) that changed; *lost*
    with the reason when no more will be noticed. Raises *OSError* or *RuntimeError* where the system has no watch to give.
    """

    def __init__(self, root: Path, noticed: Callable[[set[str]], None], lost: Callable[[str], None]) -> None:
        self._prefix = f"{root}/"
        self._noticed, self._lost = noticed, lost
        self._closing = threading.Event()
        self._notify = _rust_notify()(
            [str(root)],
            debug=False,
            force_polling=False,
            poll_delay_ms=0,
            recursive=True,
            ignore_permission_denied=False,  # it would ignore every error, also that there are no watches left
        )
        self._thread = threading.Thread(target=self._run, name="ironclaw-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, and wait for its thread."""
        self._closing.set()
        self._thread.join()
        self._notify.close()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                changes = self._notify.watch(_DEBOUNCE, _STEP, 0, self._closing)
                if isinstance(changes, set):
                    self._hand_on({path for _, path in changes})
        except Exception as error:
            log.exception("the watch of the notes has ended")
            self._lost(str(error))

    def _hand_on(self, paths: set[str]) -> None:
        relative = {path.removeprefix(self._prefix) for path in paths if path.startswith(self._prefix)}
        if shown := {path for path in relative if not path.startswith(".") and "/." not in path}:
            self._noticed(shown)
        if self._prefix[:-1] in paths:
            self._lost("the folder itself was moved or deleted")
