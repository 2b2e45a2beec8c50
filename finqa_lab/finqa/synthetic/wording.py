"""How a question names a row: rarely in the row's own words, as in the data set.

On the train portion of the real data about half of the needed rows are named in full, and a fifth by none of their
words. ``SAID`` holds other names of the invented rows, each of which means that row and no other on its page.
"""

import random

SAID: dict[str, tuple[str, ...]] = {
    # revenue and costs
    "net sales": ("total sales", "sales revenue", "revenue", "the top line"),
    "operating revenues": ("revenue from operations", "sales", "operating revenue", "the top line"),
    "premiums earned": ("earned premium", "premium revenue", "underwriting revenue"),
    "revenues": ("sales", "the top line", "revenue", "turnover"),
    "sales": ("revenue", "net revenue", "turnover"),
    "net revenues": ("sales", "net revenue", "turnover"),
    "freight revenues": ("revenue from shipping", "transportation revenue", "freight revenue"),
    "cost of sales": ("the cost of merchandise sold", "what the goods sold cost", "merchandise costs"),
    "cost of revenues": ("the direct cost of delivering services", "direct costs", "cost of revenue"),
    "cost of goods sold": ("production costs", "the cost of what was sold", "cogs"),
    "cost of products sold": ("product costs", "manufacturing cost", "cost of product sold"),
    "fuel and purchased power": ("energy supply costs", "the cost of energy", "fuel and power purchases"),
    "losses and loss adjustment expenses": ("claims costs", "the cost of claims", "loss and claim handling expense"),
    "selling and administrative expenses": ("sg&a", "overhead", "selling and administrative costs"),
    "operation and maintenance": ("o&m costs", "upkeep of plants", "operating and maintaining the system"),
    "acquisition costs": ("commissions paid to agents", "the cost of acquiring business"),
    "general and administrative expenses": ("g&a", "overhead", "administrative costs"),
    "research and development": ("r&d spending", "the cost of developing products", "r&d"),
    "research and development expenses": ("r&d spending", "the cost of developing products", "r&d"),
    "research expenses": ("r&d spending", "laboratory costs", "research expense"),
    "sales and marketing": ("marketing spend", "advertising and selling costs", "marketing"),
    "selling expenses": ("the cost of selling", "the outlay for the sales force", "selling expense"),
    "marketing expenses": ("advertising costs", "promotion spending", "marketing expense"),
    "depreciation and amortization": ("d&a", "non-cash charges for assets", "depreciation"),
    "taxes other than income taxes": ("property and other non-income taxes", "levies on property"),
    "fuel": ("diesel costs", "what locomotives burned"),
    "compensation and benefits": ("staff costs", "pay of employees", "wages and benefits"),
    "equipment rents": ("the rent of rolling stock", "rented equipment"),
    "restructuring and impairment charges": ("restructuring costs", "write-downs", "the cost of reorganizing"),
    "other operating expenses , net": ("other operating costs", "miscellaneous costs"),
    "operating income": ("operating profit", "profit from operations", "ebit"),
    "interest expense , net": ("net interest", "interest cost", "the cost of borrowing"),
    "other income , net": ("non-operating income", "miscellaneous income"),
    "income before income taxes": ("pretax income", "earnings before tax", "pre-tax profit"),
    # obligations
    "long-term debt including current portion ( note 9 )": ("long-term debt", "borrowings", "debt maturities"),
    "long-term debt": ("borrowings", "debt maturities", "long-term borrowings"),
    "interest on long-term debt": ("interest payments", "debt service", "interest due"),
    "operating leases ( note 12 )": ("operating leases", "rent commitments", "operating lease payments"),
    "operating leases": ("rent commitments", "operating lease payments"),
    "capital leases ( note 12 )": ("capital leases", "finance lease payments", "capital lease obligations"),
    "unconditional purchase obligations and other": (
        "purchase obligations",
        "supplier commitments",
        "purchases agreed",
    ),
    "purchase obligations": ("supplier commitments", "agreed purchases"),
    "pension and postretirement funding": ("retirement plan contributions", "money for pensioners"),
    "total contractual obligations": ("all obligations", "everything owed under contracts", "all commitments"),
    # performance of shares
    "s&p 500 index": ("s&p 500", "the broad market", "large american shares"),
    # reserves and tax positions
    "additions based on tax positions related to the current year": (
        "additions for the current year",
        "increases for this year 2019s filings",
    ),
    "additions for tax positions of prior years": ("additions for prior years", "increases for earlier filings"),
    "reductions for tax positions of prior years": ("reductions for prior years", "decreases for earlier filings"),
    "settlements with taxing authorities": ("settlements", "what was settled", "amounts agreed in audits"),
    "lapse of the statute of limitations": ("lapses", "releases on expiry"),
    "balance at january 1": ("the opening balance", "the reserve when the year began"),
    "balance at december 31": ("the closing balance", "the reserve when the year ended"),
    "additions charged to expense": ("additions", "provisions made", "new provisions"),
    "accruals assumed in acquisitions": ("acquired accruals", "reserves of purchased businesses"),
    "payments": ("cash payments", "amounts paid out", "claims paid"),
    "translation adjustments and other": ("currency effects", "exchange rate effects", "translation adjustments"),
    # property and balances
    "land and land improvements": ("land", "sites"),
    "buildings and improvements": ("buildings", "structures"),
    "machinery and equipment": ("machinery", "machines", "equipment"),
    "furniture , fixtures and software": ("furniture and software", "office equipment"),
    "construction in progress": ("unfinished projects", "assets not yet in service"),
    "less accumulated depreciation": ("accumulated depreciation", "the allowance for wear"),
    "cash and cash equivalents": ("cash", "liquid funds", "cash equivalents"),
    "accounts receivable , net": ("receivables", "amounts owed by customers", "accounts receivable"),
    "inventories": ("stock on hand", "inventory"),
    "accounts payable": ("trade payables", "amounts owed to suppliers", "payables"),
    "accrued compensation": ("accrued pay", "wages owed"),
    "deferred revenue": ("advance payments of customers", "unearned revenue"),
}

OPENINGS = ("for {who} , ", "for {who} , ", "at {who} , ", "looking at the table of {who} , ")
"""What may stand before a question; the company occurs all over the page."""


def called(rng: random.Random, name: str, said: tuple[str, ...], exact: float = 0.52, foreign: float = 0.65) -> str:
    """What a question calls a row.

    Args:
        rng: draws.
        name: the row's first cell.
        said: other names of it.
        exact: how often the row's own name is taken, where there is another.
        foreign: how often, otherwise, a name without any of its words, where there is one.

    >>> called(random.Random(0), "payments", ())
    'payments'
    """
    if not said or rng.random() < exact:
        return name
    strange = [other for other in said if not set(other.split()) & set(name.split())]
    return rng.choice(strange if strange and rng.random() < foreign else said)


def opened(rng: random.Random, question: str, company: str, of_table: bool, share: float = 0.2) -> str:
    """The question, now and then with an opening or an ending that names the company.

    Args:
        rng: draws.
        question: as its family words it.
        company: its name.
        of_table: whether it needs a row; such questions are put in the present tense in most cases.
        share: how often an opening stands before it.
    """
    if of_table and rng.random() < 0.85:
        question = question.replace(" was ", " is ").replace(" were ", " are ")
    if rng.random() < share:
        return rng.choice(OPENINGS if of_table else OPENINGS[:1]).format(who=company) + question
    if rng.random() < 0.1:
        return question.removesuffix("?") + (
            f" , as {company} reports it?" if rng.random() < 0.5 else f" at {company}?"
        )
    return question
