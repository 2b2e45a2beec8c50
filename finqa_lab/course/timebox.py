"""Limits around code that may never return or never stop printing, without killing the process it runs in."""

import ctypes
import io
import signal
import sys
import threading
from contextlib import contextmanager, redirect_stdout


class TimeUp(BaseException):
    """Raised inside the limited block when its time is over.

    Not an ``Exception``: a student's ``except Exception`` inside an endless loop must not swallow it.
    """


@contextmanager
def limit(seconds: float):
    """Raise :class:`TimeUp` in the block if it still runs after ``seconds`` of wall-clock time.

    On the main thread of a POSIX system the interval timer interrupts pure Python and sleeping system calls alike.
    Elsewhere (Windows, a worker thread) a watcher thread schedules the exception, which arrives at the next Python
    instruction. It rings again every 0.1 s, so a bare ``except:`` around one iteration does not keep a loop alive.
    Neither way can interrupt a single long call into C.

    >>> with limit(0.05):
    ...     while True: pass
    Traceback (most recent call last):
    ...
    finqa_lab.course.timebox.TimeUp
    """
    on_main = threading.current_thread() is threading.main_thread()
    with _alarm(seconds) if on_main and hasattr(signal, "setitimer") else _watcher(seconds):
        yield


class _Bounded(io.TextIOBase):
    """Passes the first ``room`` characters on and drops the rest, saying so once."""

    def __init__(self, target, room: int):
        self.target, self.room = target, room

    def write(self, text: str) -> int:
        if self.room > 0:
            self.target.write(text[: self.room])
            self.room -= len(text)
            if self.room <= 0:
                self.target.write("\n... (further output is not shown)\n")
        return len(text)


@contextmanager
def bounded_output(room: int = 2000):
    """Let at most ``room`` characters of standard output through; a print in a loop must not fill a notebook."""
    with redirect_stdout(_Bounded(sys.stdout, room)):
        yield


@contextmanager
def _alarm(seconds: float):
    def ring(signum, frame):
        raise TimeUp

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextmanager
def _watcher(seconds: float):
    target = ctypes.c_ulong(threading.get_ident())
    done, lock = threading.Event(), threading.Lock()

    def watch():
        wait = seconds
        while not done.wait(wait):
            with lock:
                if done.is_set():
                    return
                ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(TimeUp))
            wait = 0.1

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            done.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(target, None)  # drop one that has not arrived yet
