"""Between the plan and the deed: someone agrees, in as many words and with limits on hours and money."""

from dataclasses import dataclass

from finqa_lab.cloud.errors import NotConfirmed
from finqa_lab.cloud.plan import Plan


@dataclass(frozen=True)
class Confirmation:
    """That someone agreed to a plan, with limits. Only :func:`confirm` makes one."""

    digest: str
    max_hours: float
    max_usd: float


def confirm(plan: Plan, *, yes: bool, max_hours: float | None, max_usd: float | None) -> Confirmation:
    """Agree to a plan.

    Args:
        plan: that was shown.
        yes: said in as many words.
        max_hours: that it may run.
        max_usd: that it may cost when the most instances run all the time.

    Raises:
        NotConfirmed: saying what is missing, or which limit the plan exceeds.
    """
    if not yes:
        raise NotConfirmed("nothing was created: this was the plan only; add --yes --max-hours H --max-usd D to act")
    if max_hours is None or max_usd is None:
        raise NotConfirmed("nothing was created: --yes needs --max-hours and --max-usd, so that forgetting has a limit")
    if not plan.hours <= max_hours:
        raise NotConfirmed(f"nothing was created: the plan is for {plan.hours:g} h, and {max_hours:g} h were allowed")
    if not plan.worst_usd <= max_usd:
        raise NotConfirmed(
            f"nothing was created: at the most instances the plan costs {plan.worst_usd:.2f} USD, and {max_usd:.2f} "
            "were allowed; lower the hours or the most instances, or allow more"
        )
    return Confirmation(plan.digest, max_hours, max_usd)
