"""The side of the child of `model_library.processes.child`: reads questions, writes answers."""

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from model_library.errors import SynopticError

Tell = Callable[[float], None]
"""Told what share of the work is done more."""


def answer_questions(
    answer: Callable[[dict[str, Any]], dict[str, Any]], *, ready: Callable[[Tell], None] = lambda _: None
) -> NoReturn:
    """Answer each line of standard input with one line; end at once when the parent is gone.

    Before the first question `ready` is given what tells the parent of progress; it is for questions that
    ask for it.

    A `SynopticError` or `OSError` becomes a refusal, told by its class. Anything else is a defect:
    the process ends with a traceback, and its parent counts the death.
    """
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    questions: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(questions,), daemon=True).start()

    def tell(share: float) -> None:
        answers.write(json.dumps({"progress": share}) + "\n")

    ready(tell)
    answers.write('{"ready": true}\n')
    while True:
        question = json.loads(questions.get())
        try:
            reply = answer(question)
        except (SynopticError, OSError) as error:
            traceback.print_exc()
            reply = {"refused": {"code": type(error).__name__, "message": str(error)}}
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(70)
        answers.write(json.dumps(reply) + "\n")


def _listen(questions: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        questions.put(line)
    # The parent closed the pipe or was killed: its successor must not meet a second worker.
    os._exit(0)
