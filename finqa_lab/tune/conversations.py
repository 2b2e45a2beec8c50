"""Conversations to fine-tune on, by name: a file of chat messages, or the course's quantitative questions.

A file has one JSON object a line: ``{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content":
"..."}]}``, the layout that common fine-tuning services and libraries read; ``"id"`` names the sample and may be left
out.
"""

from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import parse_json
from finqa_lab.quantitative.dataset import SIZES, dataset
from finqa_lab.text.chat import Messages

BUILT_IN = "quantitative:"
TARGETS = ("program", "number", "reasoning")
ROLES = ("system", "user", "assistant", "tool")

Conversations = list[tuple[str, Messages]]


def read_conversations(source: str, split: str = "train", seed: int = 0) -> Conversations:
    """Named conversations of a source.

    Args:
        source: ``quantitative:program``, ``quantitative:number`` or ``quantitative:reasoning``; a file; or a folder,
            whose ``*.jsonl`` files are read in the order of their names (a cloud job's data channel).
        split: of the built-in questions: ``train``, ``validation`` or ``phrasing``.
        seed: of the built-in questions.

    >>> name, messages = read_conversations("quantitative:number")[0]
    >>> [message["role"] for message in messages]
    ['system', 'user', 'assistant']

    Raises:
        CourseError: when the source is unknown, empty, or a line of it is no conversation (file and line are named).
    """
    if source.startswith(BUILT_IN):
        target = source.removeprefix(BUILT_IN)
        if target not in TARGETS or split not in SIZES:
            raise CourseError(
                f"there is no data '{source}' with a split '{split}'; choose {BUILT_IN} with one of "
                f"{', '.join(TARGETS)}, and a split of {', '.join(SIZES)}"
            )
        return [(sample.id, sample.messages(target)) for sample in dataset(seed).named()[split]]
    path = Path(source)
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise CourseError(f"{path} has no *.jsonl file; put the conversations there, one JSON object a line")
    found = [pair for file in files for pair in _read(file)]
    if not found:
        raise CourseError(f"{path} holds no conversation; give one JSON object with messages a line")
    return found


def _read(path: Path) -> Conversations:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(
            f"the conversations {path} cannot be read ({error}); give a file with one JSON object a line, or "
            f"{BUILT_IN} with one of {', '.join(TARGETS)}"
        ) from None
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.append(_conversation(line, f"{path} line {number}", f"{path.stem}-{number}"))
    return found


def _conversation(line: str, where: str, name: str) -> tuple[str, Messages]:
    try:
        values = parse_json(line)
    except ValueError as error:
        raise CourseError(f"{where} is not JSON ({error}); write one object a line") from None
    messages = values.get("messages") if isinstance(values, dict) else None
    if not isinstance(messages, list) or not messages:
        raise CourseError(f'{where} has no list of messages; write {{"messages": [...]}}')
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise CourseError(f"{where} has a message without a role of {', '.join(ROLES)}; correct it")
        if not isinstance(message.get("content"), str):
            raise CourseError(f"{where} has a message whose content is no text; correct it")
    return str(values.get("id", name)), messages
