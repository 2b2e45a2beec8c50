"""Sentences of a generated page: some state figures that questions ask for, most do not."""

import random
from dataclasses import dataclass, field

from finqa_lab.finqa.synthetic.sectors import REASONS, Sector


@dataclass(frozen=True)
class Note:
    """One sentence.

    Attributes:
        text: lower-cased and tokenised.
        topic: names what it states, for the questions; "" for a sentence that nobody asks about.
        values: plain numbers by role.
    """

    text: str
    topic: str = ""
    values: dict[str, str] = field(default_factory=dict)


def facts(rng: random.Random, sector: Sector, last: int) -> list[Note]:
    """Sentences with figures, one for each topic."""
    shares, price = f"{rng.uniform(0.5, 30):.1f}", f"{rng.uniform(8, 120):.2f}"
    now, before = rng.sample(range(800, 90_000), 2)
    rate, earlier = f"{rng.uniform(18, 40):.1f}%", f"{rng.uniform(18, 40):.1f}%"
    dividend, outstanding = f"{rng.uniform(0.1, 3):.2f}", f"{rng.uniform(20, 900):.1f}"
    growth, amount = f"{rng.randrange(2, 12)}%", str(rng.randrange(20, 900))
    volume, volume_before = rng.sample(range(120, 40_000), 2)
    shown = f"{rate} ( {rate[:-1]} % )", f"{earlier} ( {earlier[:-1]} % )"
    return [
        Note(
            f"during {last} , the company repurchased {shares} million shares of its common stock at an average price "
            f"of $ {price} per share .",
            "repurchase",
            {"shares": shares, "price": price},
        ),
        Note(
            f"at december 31 , {last} , the company had {now} employees , compared with {before} a year earlier .",
            "employees",
            {"now": str(now), "before": str(before)},
        ),
        Note(
            f"the effective income tax rate was {shown[0]} in {last} and {shown[1]} in {last - 1} .",
            "tax rate",
            {"now": rate, "before": earlier},
        ),
        Note(
            f"the board declared dividends of $ {dividend} per share in {last} on {outstanding} million shares .",
            "dividends",
            {"per share": dividend, "shares": outstanding},
        ),
        Note(
            f"capital expenditures of $ {amount} million in {last} are expected to grow by {growth} "
            f"( {growth[:-1]} % ) a year .",
            "capital expenditures",
            {"amount": amount, "growth": growth},
        ),
        Note(
            f"the number of {sector.volume} was {volume} at the end of {last} and {volume_before} at the end of "
            f"{last - 1} .",
            "volume",
            {"now": str(volume), "before": str(volume_before)},
        ),
    ]


def distractors(rng: random.Random, sector: Sector, last: int, count: int) -> list[Note]:
    """Sentences as pages have them, about half of them with numbers that no question needs."""
    made = []
    for _ in range(count):
        risk, reason, segment = rng.choice(sector.risks), rng.choice(REASONS), rng.choice(sector.segments)
        number, year = rng.randrange(2, 400), last - rng.randrange(4)
        made.append(
            rng.choice(
                [
                    f"our results depend on {risk} , which we cannot control .",
                    f"the change in {segment} was primarily due to {reason} .",
                    f"in {year} , a charge of $ {number} million was recorded for {risk} .",
                    f"see note {rng.randrange(1, 25)} to the consolidated financial statements for more on {segment} .",
                    f"management believes that {risk} will not have a material effect on {sector.revenue} .",
                    f"the fair value of derivatives on {risk} was $ {number} million at december 31 , {year} .",
                    f"we adopted the new guidance on {segment} in {year} , and prior periods were not restated .",
                    f"a change of {rng.randrange(1, 9)}% in rates would change the liability by $ {number} million .",
                ]
            )
        )
    return [Note(text) for text in made]
