"""Sentences that a textbook of finance would have: what the words mean, without a worked problem."""

import random

from finqa_lab.pretrain.statements import share
from finqa_lab.quantitative.spelling import percentage
from finqa_lab.quantitative.task import NAMES

SENTENCES = """\
Compound interest is interest on interest: every year the interest joins the principal and earns interest itself.
The future value of a deposit grows with the rate, with the number of years, and with how often interest is added.
A certificate of deposit pays a fixed nominal rate; monthly compounding adds a twelfth of the rate each month.
Daily, weekly, monthly, quarterly and yearly compounding differ only in how many periods a year has.
A drawdown is the fall of a price below its highest level so far, as a fraction of that level.
The maximum drawdown of a fund is the largest fall from any peak to a later trough.
A portfolio that falls from its peak must rise by a larger percentage to reach the peak again.
Volatility is the standard deviation of returns; it says how much a price swings.
To annualise a daily volatility, analysts use the square root of the number of trading days in a year.
Monthly and weekly figures of risk are brought to a yearly basis before they are compared.
The Sharpe ratio is the excess return over the risk-free rate for each unit of volatility.
Between two strategies, the one with the higher Sharpe ratio was paid more for the risk it took.
The risk-free rate is the return of a treasury bill, an investment without default risk.
Position sizing decides how many shares a trader buys, so that a loss at the stop stays within the risk budget.
A stop-loss order sells a share when its price falls to the stop price; a short position is closed when it rises there.
The risk per trade is often a small percentage of the account, such as one or two percent of the equity.
A mandate may limit the share of capital that goes into a single position.
Ranking assets by risk puts the one with the highest volatility first and the calmest last.
A holding with a low standard deviation is called defensive; one that swings widely is called aggressive.
The desk reports its exposure in dollars, in shares, and as a percentage of the limit.
Return and risk are quoted a year unless a table says otherwise.
A basis point is a hundredth of a percent.
The yield of a bond rises when its price falls.
Leverage multiplies gains and losses alike.
A benchmark is an index with which the return of a fund is compared.
The fund's fact sheet states the objective, the fees, the yearly return and the worst loss of each year.
An order ticket names the instrument, the side, the entry price, the stop and the number of units.
The memo to the committee asks for one figure and the assumption behind it.
Liquidity is the ease with which a position is turned into cash.
Diversification lowers the volatility of a portfolio when its holdings do not move together.""".split("\n")

_MARKET = (
    "{name} returned {x} last year with a volatility of {y}.",
    "The standard deviation of {name} is {x}, that of {other} {y}.",
    "{name} lost {x} from its peak and recovered within {n} months.",
    "The committee allows {x} of the account at risk on {name}; the rest stays in cash at {y}.",
    "Investors in {name} earned {x} over the risk-free rate of {y}.",
    "A stop {x} below the entry protects the position in {name}.",
    "{name} pays {x} a year, added every {n} months; {other} pays {y}.",
    "Hi, could somebody check whether {name} really made {x}? The sheet says {y} and the memo does not mention it.",
    "Question for the desk: which is safer, {name} or {other}? The report gives {x} and {y}.",
)


def textbook(rng: random.Random, count: int) -> str:
    """A document of sentences; half of them about markets that do not exist."""
    found = []
    for _ in range(count):
        if rng.random() < 0.5:
            found.append(rng.choice(SENTENCES))
        else:
            name, other = rng.sample(NAMES, 2)
            x, y = percentage(share(rng), rng), percentage(share(rng), rng)
            found.append(rng.choice(_MARKET).format(name=name, other=other, x=x, y=y, n=rng.randint(2, 24)))
    return rng.choice((" ", "\n")).join(found) + "\n"
