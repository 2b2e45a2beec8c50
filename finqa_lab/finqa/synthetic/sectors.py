"""What the companies of a generated filing sell, and the words their pages use. All names are invented."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Sector:
    """The vocabulary of one industry.

    Attributes:
        name: for the page ids and the card.
        revenue: what the first line of the income statement is called.
        costs: expense lines, the largest first.
        segments: parts that the revenue is split into.
        volume: something counted besides money, plural.
        risks: things a page warns of.
    """

    name: str
    revenue: str
    costs: tuple[str, ...]
    segments: tuple[str, ...]
    volume: str
    risks: tuple[str, ...]


SECTORS = (
    Sector(
        "retail",
        "net sales",
        ("cost of sales", "selling and administrative expenses", "depreciation and amortization"),
        ("grocery", "apparel", "home furnishings", "electronics", "online"),
        "stores",
        ("a mild winter", "the cost of leases", "competition from online sellers", "the timing of holidays"),
    ),
    Sector(
        "utility",
        "operating revenues",
        ("fuel and purchased power", "operation and maintenance", "taxes other than income taxes"),
        ("residential", "commercial", "industrial", "wholesale", "transmission"),
        "gigawatt-hours sold",
        ("storm restoration", "the price of natural gas", "decisions of regulators", "environmental rules"),
    ),
    Sector(
        "insurance",
        "premiums earned",
        ("losses and loss adjustment expenses", "acquisition costs", "general and administrative expenses"),
        ("property", "casualty", "marine", "accident and health", "reinsurance"),
        "policies in force",
        ("catastrophes", "the level of interest rates", "the frequency of claims", "the ratings of reinsurers"),
    ),
    Sector(
        "technology",
        "revenues",
        ("cost of revenues", "research and development", "sales and marketing"),
        ("licenses", "maintenance", "hosted services", "consulting", "devices"),
        "subscribers",
        ("the pace of new releases", "patent disputes", "the loss of key engineers", "breaches of security"),
    ),
    Sector(
        "industrial",
        "sales",
        ("cost of goods sold", "selling expenses", "research expenses"),
        ("pumps", "bearings", "filtration", "automation", "aftermarket"),
        "units shipped",
        ("the price of steel", "labor disputes", "the cyclical nature of demand", "product recalls"),
    ),
    Sector(
        "health",
        "net revenues",
        ("cost of products sold", "marketing expenses", "research and development expenses"),
        ("diagnostics", "devices", "generic medicines", "vaccines", "laboratory services"),
        "clinical sites",
        ("the outcome of trials", "reimbursement rates", "expiry of patents", "regulatory inspections"),
    ),
    Sector(
        "transport",
        "freight revenues",
        ("fuel", "compensation and benefits", "equipment rents"),
        ("coal", "chemicals", "automotive", "intermodal", "agricultural products"),
        "carloads",
        ("the price of diesel", "severe weather", "the state of the network", "changes in trade"),
    ),
)

STEMS = """ardent bellwick corvale dunhaven elmridge farlowe grantham hollis ivory jarrow kelby larkspur marlow
norwood oakhurst penrose quillan rushford stanwick thornbury ulverton vandale wexcombe yardley zeller""".split()
KINDS = ("corp .", "inc .", "group", "holdings", "partners")
REASONS = """higher volumes|lower volumes|favorable pricing|the translation of foreign currencies|a change in mix
the acquisition completed in may|restructuring actions|the sale of a business""".replace("\n", "|").split("|")
STARTS = """ash bar bel bram cal cor dal den eas far fen gal gar hal har hol ing kel ken lan lin mar mel mor nor
oak or pem quin rad ral ros sal sel stan tam tel tor ul var wal wen wil yar""".split()
ENDS = """bourne bridge brook bury by caster combe cote dale don field ford gate ham hurst ley low mere minster more
mouth ness port shaw sted stow thorpe ton wick worth""".split()


def places(rng: random.Random, count: int) -> list[str]:
    """Different invented names of places; of the many only a few are on two pages, as with names in real reports.

    >>> len(set(places(random.Random(0), 8)))
    8
    """
    found: list[str] = []
    while len(found) < count:
        name = rng.choice(STARTS) + rng.choice(ENDS)
        if name not in found:
            found.append(name)
    return found
