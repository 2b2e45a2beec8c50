"""Sentences of a generated page that state the figures that questions ask for."""

import random
from dataclasses import dataclass, field

from finqa_lab.finqa.synthetic.sectors import Sector, places


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


def facts(rng: random.Random, sector: Sector, last: int, who: str) -> list[Note]:
    """Sentences with figures, one for each topic.

    Args:
        rng: draws.
        sector: its words.
        last: the latest year.
        who: what the page calls the company.
    """
    shares, price = f"{rng.uniform(0.5, 30):.1f}", f"{rng.uniform(8, 120):.2f}"
    now, before = rng.sample(range(800, 90_000), 2)
    rate, earlier = f"{rng.uniform(18, 40):.1f}%", f"{rng.uniform(18, 40):.1f}%"
    dividend, outstanding = f"{rng.uniform(0.1, 3):.2f}", f"{rng.uniform(20, 900):.1f}"
    growth, amount = f"{rng.randrange(2, 12)}%", str(rng.randrange(20, 900))
    volume, volume_before = rng.sample(range(120, 40_000), 2)
    (bought,), (paid, goodwill) = places(rng, 1), sorted(rng.sample(range(10, 900), 2), reverse=True)
    borrowed, interest = rng.randrange(50, 900), f"{rng.uniform(2, 9):.2f}%"
    shown, shown_earlier = f"{rate} ( {rate[:-1]} % )", f"{earlier} ( {earlier[:-1]} % )"
    year, prior = last, last - 1
    choices: dict[str, tuple[list[str], dict[str, str]]] = {
        "repurchase": (
            [
                f"during {year} , {who} repurchased {shares} million shares of its common stock at an average price "
                f"of "
                f"$ {price} per share .",
                f"in {year} {who} spent cash on share repurchases of {shares} million shares of common stock that "
                f"were bought "
                f"back at a cost of $ {price} each on average .",
                f"the purchases of treasury stock during {year} , or stock buybacks , came to {shares} million shares "
                f"at a "
                f"cost of $ {price} a share .",
            ],
            {"shares": shares, "price": price},
        ),
        "employees": (
            [
                f"at december 31 , {year} , {who} had {now} employees , compared with {before} at the end of {prior} .",
                f"the number of employees of {who} was {now} at the end of {year} and {before} at the end of {prior} .",
                f"the workforce , or headcount , changed to {now} in {year} from {before} in {prior} .",
            ],
            {"now": str(now), "before": str(before)},
        ),
        "tax rate": (
            [
                f"the effective income tax rate was {shown} in {year} and {shown_earlier} in {prior} , a change "
                f"due to the mix of earnings .",
                f"{who} provided for income taxes at {shown} of pretax income in {year} as against {shown_earlier} in "
                f""
                f"{prior} , after credits for research .",
                f"the rate of income tax was {shown} of the earnings in {year} and {shown_earlier} in {prior} .",
            ],
            {"now": rate, "before": earlier},
        ),
        "dividends": (
            [
                f"the board declared dividends of $ {dividend} per share in {year} on {outstanding} million shares , "
                f"paid in cash .",
                f"the dividend payments to shareholders in {year} were $ {dividend} for each of the {outstanding} "
                f"million "
                f"shares of common stock .",
                f"cash dividends to shareholders came to $ {dividend} a share in {year} , on a total of {outstanding} "
                f""
                f"million shares .",
            ],
            {"per share": dividend, "shares": outstanding},
        ),
        "capital expenditures": (
            [
                f"capital expenditures of $ {amount} million in {year} are expected to grow by {growth} "
                f"( {growth[:-1]} % ) a year as {who} adds capacity .",
                f"{who} spent $ {amount} million on plant and equipment in {year} and plans to raise this by {growth} "
                f""
                f"( {growth[:-1]} % ) annually until the current program is complete .",
            ],
            {"amount": amount, "growth": growth},
        ),
        "volume": (
            [
                f"the number of {sector.volume} was {volume} at the end of {year} and {volume_before} at the end of "
                f"{prior} .",
                f"{who} counted {volume} {sector.volume} in {year} , compared with a count of {volume_before} in "
                f"{prior} .",
                f"{sector.volume} came to {volume} and {volume_before} in {year} and {prior} , respectively .",
            ],
            {"now": str(volume), "before": str(volume_before)},
        ),
        "acquisition": (
            [
                f"{who} acquired {bought} for $ {paid} million in {year} , of which $ {goodwill} million was "
                f"allocated to "
                f"goodwill .",
                f"goodwill of $ {goodwill} million was recorded in {year} on the purchase of {bought} , whose price "
                f"was "
                f"$ {paid} million .",
                f"in {year} {who} closed the {bought} acquisition , paid $ {paid} million in cash and recognized "
                f"$ {goodwill} million as goodwill .",
            ],
            {"paid": str(paid), "goodwill": str(goodwill), "place": bought},
        ),
        "notes": (
            [
                f"in {year} , {who} issued $ {borrowed} million of {interest} ( {interest[:-1]} % ) senior notes due "
                f"{year + 10} .",
                f"senior notes due {year + 10} , with a principal of $ {borrowed} million , bear interest of "
                f"{interest} "
                f"( {interest[:-1]} % ) and were sold in {year} .",
            ],
            {"borrowed": str(borrowed), "interest": interest},
        ),
    }
    return [Note(rng.choice(texts), topic, values) for topic, (texts, values) in choices.items()]
