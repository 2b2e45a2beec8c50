"""Sentences that nobody asks about but that share their words with the questions, as the pages of real reports do.

They name the table's rows, the years and the company without the figure that a question needs: introductions of tables,
discussions of results, policies, near misses beside each stated figure, and units of almost nothing. A figure in one of
them is of a part, a quarter or an effect, never of the row and year themselves, so that one answer stays right.
"""

import random

from finqa_lab.finqa.synthetic.sectors import REASONS, Sector, places

ABOUT_ROWS = (
    "the change in {item} from {prior} to {year} was primarily due to {reason} , partially offset by {reason2} .",
    "the following table presents {item} and {item2} for {who} for these years :",
    "{item} in {year} compared with {prior} reflected {reason} as well as {reason2} .",
    "excluding {reason} , which affected {item} by $ {number} million in {year} , the trend was similar to earlier"
    " ones .",
    "changes in {item} are not indicative of what {who} expects of later periods .",
    "acquired operations in {place} contributed $ {number} million to {item} in the fourth quarter .",
    "see note {note} for a discussion of {item} and of related policies .",
    "management uses {item} , among other measures , to judge the performance of {segment} and of {item2} .",
    "{item} was affected by {reason} and by {risk} , neither of which {who} expects to recur .",
    "the translation of foreign currencies changed {item} by {percent}% ( {percent} % ) .",
    "{item} for {prior} has been reclassified to conform with current presentation , with no effect on the total .",
    "{who} plans its purchases with regard to {item} over several periods rather than to that of any one of them .",
    "on a quarterly basis , {item} included $ {number} million from {segment} that will not recur .",
    "the components of {item} and of {item2} are described below .",
    "management expects that {item} will vary because of {reason} and the seasonal nature of {segment} .",
    "{who} recorded within {item} a charge of $ {number} million for {risk} that is not expected to recur .",
    "how much of {item} {who} will realize depends on {risk} , on {risk2} and on demand for {segment} .",
)
GENERAL = (
    "our results depend on {risk} and {risk2} , which we cannot control , and on our ability to respond in time .",
    "{who} recorded a charge of $ {number} million for {risk} at its {place} plant , most of which"
    " related to {segment} .",
    "see note {note} to the consolidated financial statements for more on {segment} and on these policies .",
    "management believes that {risk} will not have a material effect on financial position , liquidity or results of"
    " operations .",
    "the fair value of derivatives that hedge {risk} was $ {number} million , based on quoted prices .",
    "we adopted new guidance on {segment} , and because the effect was not material , prior periods were not"
    " restated .",
    "a change of {small}% ( {small} % ) in market rates , with all other variables held constant , would affect the"
    " liability by $ {number} million .",
    "preparing financial statements requires management to make estimates and assumptions that affect"
    " reported amounts ,"
    " and actual amounts could differ .",
    "these forward-looking statements are subject to {risk} , {risk2} and other factors set out elsewhere , and {who}"
    " undertakes no obligation to update them .",
    "{who} has a revolving credit facility of $ {number} million with {place} bank that requires certain financial"
    " ratios , all of which were met .",
    "such costs are recorded when it is probable that a liability has been incurred and its amount can be reasonably"
    " estimated , in light of {risk} .",
    "in the opinion of management , the {place} proceedings about {risk} are not likely to be material ,"
    " although they could affect a"
    " single quarter .",
    "our {place} operations compete in {segment} on price , quality and service with rivals some of"
    " which have greater resources .",
    "amounts are recognized when title passes to customers , net of allowances , and are presented on a"
    " consistent basis .",
    "on may {small} , {past} , {who} completed the purchase of {place} {segment} for $ {number} million in cash ,"
    " financed with borrowings under its credit facility .",
    "assets are depreciated on a straight-line basis over estimated useful lives of {small} to {percent} years .",
    "goodwill is tested for impairment each year , and whenever {risk} or {risk2} suggest that its"
    " carrying amount may not"
    " be recoverable .",
    "letters of credit of $ {number} million were outstanding in favor of {place} county , and no"
    " drawings have been made under them .",
    "{who} leases offices in {place} , vehicles and equipment from others under agreements with renewal"
    " options at market terms .",
    "concentrations of credit risk are limited because customers are many and spread over regions such"
    " as {place} , although {risk} may"
    " touch several of them together .",
)
NEAR_FACTS = (
    "the board has authorized repurchases of up to {number} million shares of common stock , of which a part remained"
    " available at the end of {year} .",
    "in the first weeks of {next} , {who} repurchased {small} million shares of common stock at market prices .",
    "shares repurchased are recorded at cost in treasury stock , which rose in {year} and {prior} .",
    "share repurchases from employees to cover taxes in {year} came to {number} thousand shares .",
    "about {percent}% ( {percent} % ) of employees at {place} were covered by collective agreements in {year} and"
    " {prior} .",
    "the number of employees at {place} rose by {number} in {prior} and did not change in {year} .",
    "the tax rate in {place} was lowered in {prior} to {percent}% ( {percent} % ) with effect from {year} .",
    "the effective tax rate differs from the statutory rate of 35% ( 35 % ) in {year} and {prior} because of {risk} .",
    "the number of {volume} at {place} changed from {prior} to {year} because of {reason} .",
    "{number} {volume} were added in {place} in {year} .",
    "dividends declared after {year} depend on earnings , financial condition and the {percent}"
    " directors , who decide"
    " each quarter .",
    "dividends of $ {number} million from subsidiaries were received in {year} and eliminated in consolidation .",
    "capital expenditures for {segment} include $ {number} million that was committed but not paid at"
    " the end of {year} .",
    "part of the price paid for {place} in {prior} was allocated to goodwill , in an amount of $ {number} million .",
    "goodwill of $ {number} million was allocated to {segment} at the end of {year} .",
    "the {small}% ( {small} % ) senior notes due {next} were redeemed in {year} , and interest on them ceased .",
    "income after taxes at the effective rate is not a measure under generally accepted accounting principles .",
    "executives are paid by measures that include revenue per employee , dividends and share repurchases in {year} .",
)
CAPTIONS = (
    "{item} , {year} compared with {prior} .",
    "{item} and {item2} {year} .",
    "{item} ( see note {note} ) .",
    "{place} : {item} .",
    "{item} by year :",
    "{item} : {reason} .",
)
NOTHING = (".", "the company", "{who} .", "{who} {year} annual report {note}", "( a ) .", "table of contents .")


def sentences(
    rng: random.Random,
    sector: Sector,
    last: int,
    names: list[str],
    items: list[str],
    taken: str,
    count: int,
) -> list[str]:
    """Different sentences of all these kinds.

    Args:
        rng: draws.
        sector: its words.
        last: the latest year.
        names: the company's name and its short forms.
        items: what the table's rows are called.
        taken: the place that a stated figure belongs to; it is named in none of them.
        count: how many.
    """
    sites = [place for place in places(rng, 6) if place != taken]
    found: list[str] = []
    while len(found) < count:
        kind = rng.choices((ABOUT_ROWS, CAPTIONS, GENERAL, NEAR_FACTS, NOTHING), SHARES)[0]
        item, item2 = rng.choices(items, k=2)
        risk, risk2 = rng.sample(sector.risks, 2)
        reason, reason2 = rng.sample(REASONS, 2)
        text = rng.choice(kind).format(
            item=item,
            item2=item2,
            risk=risk,
            risk2=risk2,
            reason=reason,
            reason2=reason2,
            segment=rng.choice(sector.segments),
            volume=sector.volume,
            place=rng.choice(sites),
            who=rng.choice(names),
            number=rng.randrange(2, 400),
            small=rng.randrange(1, 9),
            percent=rng.randrange(2, 40),
            note=rng.randrange(1, 25),
            year=last,
            prior=last - 1,
            next=last + 1,
            past=last - rng.randrange(4),
        )
        if kind not in (CAPTIONS, NOTHING) and rng.random() < LONGER:
            text = _longer(rng, text, sector, last, rng.choice(names), sites)
        if kind is NOTHING or text not in found:
            found.append(text)
    return found


SHARES = (7.6, 2.1, 11, 3.2, 0.8)
"""How often a sentence is about rows, a caption, general, near a stated figure, or almost nothing."""
LONGER = 0.7
"""Share of the sentences with a further clause."""


def _longer(rng: random.Random, text: str, sector: Sector, last: int, who: str, sites: list[str]) -> str:
    """The sentence with a clause before its end."""
    clause = rng.choice(
        [
            "as discussed in note {note} to the consolidated financial statements",
            "consistent with the practice of other companies in our industry",
            "subject to {risk} and to conditions of credit and capital markets",
            "and we continue to monitor {risk} and to take measures that we consider appropriate",
            "in accordance with accounting principles generally accepted in the united states",
            "except that amounts of {segment} in {place} were not material",
            "where {who} has obtained consent from its lenders , regulators or partners in {place}",
            "net of recoveries from insurers and other third parties",
        ]
    ).format(
        note=rng.randrange(1, 25),
        who=who,
        risk=rng.choice(sector.risks),
        segment=rng.choice(sector.segments),
        year=last,
        place=rng.choice(sites),
        past=last - rng.randrange(1, 4),
    )
    end = text[-1] if text[-1] in ".:" else "."
    return f"{text[:-1].rstrip()} , {clause} {end}" if text[-1] in ".:" else f"{text} , {clause} {end}"
