"""Generated financial English: the text on which the tokenizer lab trains and measures.

Sentences and small tables as annual reports write them, about companies that do not exist: tickers, units
(million, bps, EBITDA), amounts in several formats, negative amounts in parentheses. All figures are random,
so no sentence states a fact about anyone. ``python -m finqa_lab.text.corpus`` writes both files again, byte
for byte.
"""

import random
import re
from collections.abc import Iterator

from finqa_lab.files import register_data

TRAIN, HELD_OUT = "text/filings_train.txt", "text/filings_heldout.txt"
COMMAND = "python -m finqa_lab.text.corpus"

_STEMS = """Aldor Bravent Calyx Dunmore Everlane Fenwick Galtrex Harborline Irongate Juniper Kestrel Lumora
Meridian Northmoor Orbitra Pinecrest Quarryhill Redwater Silvana Tamarisk Umbria Valecrest Westhaven
Yarrow""".split()
_TRADES = """Bancorp Energy Foods Freight Holdings Insurance Logistics Materials Pharma Retail Semiconductor
Software""".split()
_ITEMS = """revenue|net revenue|net sales|cost of goods sold|gross profit|operating income|operating expenses
EBITDA|adjusted EBITDA|net income|net loss|free cash flow|capital expenditures|goodwill|goodwill impairment
inventories|deferred tax assets|long-term debt|interest expense|stock-based compensation|share repurchases
depreciation and amortization|accounts receivable|SG&A expense""".replace("\n", "|").split("|")
_SEGMENTS = """the Americas|EMEA|Asia-Pacific|the wholesale segment|the services segment
the consumer segment""".replace("\n", "|").split("|")
_CAUSES = """higher volumes|favorable pricing|foreign currency translation|restructuring charges
lower input costs|an unfavorable product mix|the acquisition completed in the second quarter|wage inflation
higher interest rates|the divestiture of a non-core business
the timing of customer shipments""".replace("\n", "|").split("|")
_CHOICES = {
    "item": _ITEMS,
    "segment": _SEGMENTS,
    "cause": _CAUSES,
    "quarter": "first second third fourth".split(),
    "moved": "increased decreased rose declined grew fell".split(),
}
# A field in braces is drawn anew wherever it stands; name, ticker and years stay the same within a sentence.
_SENTENCES = """\
{name} (NYSE: {ticker}) reported {item} of {amount} for fiscal {year}, compared with {amount} in {last}.
{Item} {moved} {share} to {amount}, primarily due to {cause}.
For the {quarter} quarter of {year}, {item} in {segment} {moved} by {amount}, or {share}.
The company's {item} margin was {share} in {year} and {share} in {last}, a change of {basis} basis points.
Shares of {ticker} closed at ${price}; diluted EPS was ${earnings} versus ${earnings} a year earlier.
As of December 31, {year}, {item} totaled {amount} and {item} totaled {amount}.
We expect {item} of between {amount} and {amount} in {next}, excluding {cause}.
Excluding {cause}, the year-over-year change of {item} in {segment} was {share}.
{ticker} repurchased {shares} million shares at an average price of ${price} per share.
Maturities of {item}: {year}: {amount}; {next}: {amount}.""".split("\n")


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]  # str.capitalize would make "Ebitda" of "EBITDA"


def companies() -> list[tuple[str, str]]:
    """Forty invented companies with their tickers, like ``("Aldor Bancorp", "ALDB")``; all different."""
    rng = random.Random(7)
    pairs = [(stem, trade) for stem in _STEMS for trade in _TRADES]
    rng.shuffle(pairs)
    by_ticker = {(stem[:3] + trade[:1]).upper(): f"{stem} {trade}" for stem, trade in pairs}
    return [(name, ticker) for ticker, name in list(by_ticker.items())[:40]]


class _Writer:
    """Random phrases from one seeded generator."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.companies = companies()

    def amount(self) -> str:
        """An amount of money in one of the usual formats, spread over six orders of magnitude."""
        value = 10 ** self.rng.uniform(0, 6)
        cents = f"{value:,.2f}"
        whole = f"{round(value):,}"
        euros = f"EUR {value:,.1f} million|€{value:,.1f}m"
        scaled = f"${value:,.1f} million|${value / 1000:.2f} billion|${whole} thousand"
        return self.rng.choice(
            f"{scaled}|{euros}|${whole}|$ ( {whole} )|(${cents})|${cents}|{round(value)}".split("|")
        )

    def share(self) -> str:
        value = self.rng.uniform(0, 60)
        forms = f"{value:.1f}%|{value:.2f}%|{value:.0f} percent|({value:.1f})%|{value * 10:.0f} bps"
        return self.rng.choice(forms.split("|"))

    def year(self) -> int:
        return self.rng.randint(2004, 2024)

    def sentence(self) -> str:
        rng = self.rng
        name, ticker = rng.choice(self.companies)
        year = self.year()
        fixed = {
            "name": name,
            "ticker": ticker,
            "year": str(year),
            "last": str(year - 1),
            "next": str(year + 1),
        }
        drawn = {
            "amount": self.amount,
            "share": self.share,
            "price": lambda: f"{rng.uniform(3, 900):.2f}",
            "earnings": lambda: f"{rng.uniform(0, 20):.2f}",
            "shares": lambda: f"{rng.uniform(1, 90):.1f}",
            "basis": lambda: str(rng.randint(1, 900)),
            "Item": lambda: _capital(rng.choice(_ITEMS)),
        }

        def fill(field: re.Match) -> str:
            key = field[1]
            return fixed[key] if key in fixed else drawn[key]() if key in drawn else rng.choice(_CHOICES[key])

        return re.sub(r"\{(\w+)\}", fill, rng.choice(_SENTENCES))

    def table(self) -> str:
        """A small table in words, the way questions about reports are usually written out."""
        name, ticker = self.rng.choice(self.companies)
        year, rows = self.year(), self.rng.sample(_ITEMS, self.rng.randint(2, 5))
        lines = [f"{name} ({ticker}), in millions, except per share data"]
        for item in rows:
            now, before = (round(10 ** self.rng.uniform(1, 5.5)) for _ in range(2))
            before_text = f"({before:,})" if self.rng.random() < 0.2 else f"{before:,}"
            lines.append(f"the {item} of {year} is {now:,} ; the {item} of {year - 1} is {before_text} ;")
        return "\n".join(lines)


def documents(seed: int, size: int) -> Iterator[str]:
    """Documents of a few paragraphs and tables until their UTF-8 sizes reach ``size`` bytes.

    Equal seeds give equal text.
    """
    writer, written = _Writer(seed), 0
    while written < size:
        parts = []
        for _ in range(writer.rng.randint(3, 8)):
            paragraph = [writer.sentence() for _ in range(writer.rng.randint(2, 5))]
            parts.append(writer.table() if writer.rng.random() < 0.25 else " ".join(paragraph))
        document = "\n\n".join(parts) + "\n"
        written += len(document.encode("utf-8")) + 1
        yield document


def read_documents(text: str) -> list[str]:
    """The documents of a corpus file: they are separated by a form feed."""
    return text.split("\f")


def main() -> None:
    """Write both corpus files and their manifest lines."""
    for name, seed, size in ((TRAIN, 0, 420_000), (HELD_OUT, 1, 60_000)):
        path = register_data(name, "\f".join(documents(seed, size)).encode("utf-8"), COMMAND)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
