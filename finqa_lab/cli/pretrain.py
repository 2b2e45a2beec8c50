"""``finqa-lab pretrain``: build the course's base model, or go on with an interrupted build."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``pretrain``."""
    parser = subparsers.add_parser("pretrain", help="train the course's small base model from nothing; can be resumed")
    parser.add_argument(
        "--recipe",
        default="finqa-tiny",
        help="finqa-tiny (default), finqa-tiny-1, the stage before it, or probe and probe-2, which take seconds",
    )
    parser.add_argument("--start", type=Path, metavar="DIR", help="finished build of the stage before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="another number of optimizer steps")
    parser.add_argument("--until", type=int, metavar="STEP", help="stop there; the same command goes on")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, mps")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the build")
    parser.set_defaults(run=pretrain)


def pretrain(arguments) -> int:
    """Build; 0 when the model or the asked-for step was reached."""
    import torch
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from finqa_lab.pretrain.build import build
    from finqa_lab.pretrain.recipe import recipe_named

    recipe = recipe_named(arguments.recipe, arguments.steps)
    torch.set_num_threads(arguments.threads)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), transient=True) as progress:
        bar = progress.add_task("starting", total=recipe.plan.steps)

        def show(run) -> None:
            progress.update(bar, completed=run.step, description=f"training, loss {run.losses[-1]:.3f}")
            if not progress.console.is_terminal and run.step % 50 == 0:
                mean = sum(run.losses[-50:]) / len(run.losses[-50:])
                print(
                    f"step {run.step}: loss {mean:.4f}, {run.tokens:,} tokens, {run.cpu_seconds:.0f} CPU-s", flush=True
                )

        facts = build(
            recipe,
            arguments.seed,
            arguments.out,
            start=arguments.start,
            until=arguments.until,
            device=arguments.device,
            on_stage=lambda name: progress.update(bar, description=name),
            on_step=show,
        )
    where = arguments.out / ("model" if facts["finished"] else "work")
    print(f"{where}: {facts['parameters']:,} parameters, {facts['steps']} steps, {facts['tokens']:,} tokens")
    for genre, loss in facts["held_out"].items():
        print(f"  held-out {genre}: {loss:.3f} nats a token")
    return 0
