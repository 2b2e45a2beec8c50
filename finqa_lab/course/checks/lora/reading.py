"""Checks of lab 06: what counts as the answer of a reply, and when a number is right."""

import random
import re
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.quantitative.scoring import within

_LINE = r"^\s*answer:(.*)$"
_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"


def line_cases(rng: random.Random) -> Iterator[Case]:
    """Replies with worked steps."""
    yield Case("answer: 0.2014")
    yield Case("0.012 times the root of 252 is 0.19.\nanswer: 0.19", note="other numbers before it")
    yield Case("answer: 0.19\nThat is 0.012 times the root of 252.", note="a number behind it")
    yield Case("The balance is 2,000 after 5 years.", note="no answer line: no answer")
    yield Case("answer: 10\nNo, I forgot a year.\nAnswer: $12,500.75", note="corrected; upper case, a sign, a comma")
    yield Case("answer: -0.229", note="negative")
    yield Case("Answer: 83", note="upper case")
    yield Case("answer: none of the 3 is right", note="an answer line whose text is no number")
    for _ in range(3):
        value = rng.randrange(1000, 99999) / 4
        yield Case(f"In {rng.randrange(2, 9)} years it is {value:,.2f}.\nanswer: {value:,.2f}\nrounded to 2 decimals")


def _line(text, which=-1, fallback=False, case=True, commas=True, sign=True, anywhere=False):
    lines = re.findall(_LINE, text, re.MULTILINE | (re.IGNORECASE if case else 0))
    if not lines:
        numbers = re.findall(_NUMBER, text)
        return float(numbers[-1].replace(",", "")) if fallback and numbers else None
    content = lines[which].strip().lstrip("$" if sign else "$-")
    number = _NUMBER if commas else r"[-+]?\d+(?:\.\d+)?"
    found = (re.search if anywhere else re.match)(number, content)
    return float(found[0].replace(",", "")) if found else None


def _last_number(text):
    numbers = re.findall(_NUMBER, text)
    return float(numbers[-1].replace(",", "")) if numbers else None


register(
    Check(
        name="lora.answer_line",
        task="the number of the last line that begins with `answer:`, or None",
        cases=line_cases,
        oracle=_line,
        why="a reader that guesses turns right replies into wrong ones, and replies without an answer into answers.",
        hint="go through the lines from the end; the first that begins with answer: decides, also when it has no "
        "number.",
        wrong=[
            WrongAnswer(
                "last number of the text",
                _last_number,
                "the last number may be the 252 of a root, a year or a count: read the answer line only.",
            ),
            WrongAnswer(
                "first answer line",
                lambda text: _line(text, which=0),
                "a reply may correct itself: the last answer line decides.",
            ),
            WrongAnswer(
                "any number without a line",
                lambda text: _line(text, fallback=True),
                "without an answer line there is no answer: return None, which is counted as a failure of structure.",
            ),
            WrongAnswer(
                "lower case only",
                lambda text: _line(text, case=False),
                "a line may begin with Answer: as well; compare in lower case.",
            ),
            WrongAnswer(
                "cut at the comma",
                lambda text: _line(text, commas=False),
                "12,500.75 is one number: take the commas out before you read it.",
            ),
            WrongAnswer(
                "sign lost",
                lambda text: _line(text, sign=False),
                "a number may be negative: keep its sign.",
            ),
            WrongAnswer(
                "any number of the line",
                lambda text: _line(text, anywhere=True),
                "what follows answer: must be a number itself; a sentence with a number in it is none.",
            ),
        ],
    )
)


def within_cases(rng: random.Random) -> Iterator[Case]:
    """A number that was found, and the right one."""
    yield Case(1.0, 1.0)
    yield Case(99.5, 100.0)
    yield Case(-22.9, -22.60, note="a published example of a right answer")
    yield Case(100.995, 100.0, note="0.995% too much")
    yield Case(101.005, 100.0, note="1.005% of the right number, 0.995% of the one found")
    yield Case(0.19, -0.19, note="the sign is part of the number")
    yield Case(-0.1905, -0.19)
    yield Case(0.1906, 0.1992, note="0.0086 apart, and 4.3% of the right number")
    for _ in range(4):
        right = round(rng.uniform(-500, 500), 2)
        yield Case(right * (1 + rng.choice([-0.02, -0.009, 0.009, 0.02])), right)


register(
    Check(
        name="lora.within",
        task="whether a number is at most 1% of the right one away from it",
        cases=within_cases,
        oracle=within,
        why="the tolerance is the metric: another reading of 1% is another score.",
        hint="the distance is absolute, and so is the right number that it is compared with.",
        wrong=[
            WrongAnswer(
                "relative to the number found",
                lambda found, right: abs(found - right) <= 0.01 * abs(found),
                "the right number is the base of the 1%: a larger wrong number must not get a larger tolerance.",
            ),
            WrongAnswer(
                "one hundredth, absolute",
                lambda found, right: abs(found - right) <= 0.01,
                "that is a distance of 0.01, far too wide for 0.19 and far too narrow for 12,500: multiply by the "
                "right number.",
            ),
            WrongAnswer(
                "sign of the distance kept",
                lambda found, right: found - right <= 0.01 * abs(right),
                "a number that is too small is as wrong as one that is too large: take the absolute distance.",
            ),
            WrongAnswer(
                "negative right number",
                lambda found, right: abs(found - right) <= 0.01 * right,
                "1% of a negative number is negative, and no distance is below it: take its absolute value.",
            ),
            WrongAnswer(
                "sign of the numbers dropped",
                lambda found, right: abs(abs(found) - abs(right)) <= 0.01 * abs(right),
                "a gain is no loss: compare the numbers with their signs.",
            ),
            WrongAnswer(
                "ten per cent",
                lambda found, right: abs(found - right) <= 0.1 * abs(right),
                "that is ten per cent of the right number; one is 0.01 times it.",
            ),
        ],
    )
)
