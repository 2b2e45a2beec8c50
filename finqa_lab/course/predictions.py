"""Predict, then measure: the number a reader writes down first is what makes the measurement surprising."""

from dataclasses import dataclass

from finqa_lab.course.metrics import format_value


@dataclass(frozen=True)
class Prediction:
    """A guess, kept until the measurement is there."""

    question: str
    guess: float
    unit: str = ""

    def reveal(self, measured: float) -> None:
        """Print the guess beside ``measured`` and how far apart they are."""
        measured = measured.item() if hasattr(measured, "item") else measured
        unit = f" {self.unit}" if self.unit else ""
        print(self.question)
        print(f"  predicted: {format_value(self.guess)}{unit}\n  measured:  {format_value(measured)}{unit}")
        print(f"  {_distance(self.guess, measured)}")


def predict(question: str, guess: float, unit: str = "") -> Prediction:
    """Write a prediction down before measuring.

    Args:
        question: what is predicted, in one line.
        guess: your number; there is no wrong one.
        unit: of the number.

    >>> predict("tokens per word", 2.0).reveal(1.5)
    noted: tokens per word: 2
    tokens per word
      predicted: 2
      measured:  1.5
      the prediction was 1.33 times the measurement
    """
    print(f"noted: {question}: {format_value(guess)}{' ' + unit if unit else ''}")
    return Prediction(question, guess, unit)


def _distance(guess: float, measured: float) -> str:
    if guess == measured:
        return "exactly"
    if guess * measured <= 0:
        return f"off by {format_value(abs(guess - measured))}"
    return f"the prediction was {guess / measured:.3g} times the measurement"
