"""What the grammars of answers and programs let through, against the readers of the library."""

import json
import math
import random
from functools import cache

import pytest
import torch
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.files import data_path, read_json
from finqa_lab.finqa import replies as finqa_replies
from finqa_lab.finqa.parse import parse as finqa_parse
from finqa_lab.finqa.program import ARITHMETIC, TABLE, Reference
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.quantitative import dsl
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.quantitative.replies import read_reply
from finqa_lab.serve.structured.answers import answer_json
from finqa_lab.serve.structured.automaton import GrammarAutomaton
from finqa_lab.serve.structured.budget import within
from finqa_lab.serve.structured.dfa import determinise
from finqa_lab.serve.structured.programs import grammar, program
from tests.finqa_data import finqa_folder

END = 2044
NUMERIC = (*ARITHMETIC, "maximum", "minimum", "absolute", "floor")
WITH_NAMES = (*NUMERIC, "name", "rank", "first")
ROWS = ("net sales", "goodwill ( 2 )", "cash, net", "interest, none", "#0", "été")


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(data_path("models/finqa-tiny/tokenizer.json")))


def random_reply(automaton, rng: random.Random) -> str:
    """A reply of tokens drawn evenly from the masks."""
    state, tokens = automaton.start, []
    while True:
        token = rng.choice(torch.nonzero(automaton.allowed(state)).flatten().tolist())
        if token == END:
            assert len(tokens) < automaton.longest
            return tokenizer().decode(tokens, skip_special_tokens=False)
        tokens.append(token)
        state = automaton.step(state, token)


def sampled_replies(automaton, rows: int, limit: int, seed: int = 0) -> list[list[int]]:
    """Replies of a model with random weights, all rows at once, without a cache."""
    config = DecoderConfig.llama(2048, 32, 1, 2, 64, limit + 1, tied=True)
    model, generator = Decoder(config, seed=seed).eval(), torch.Generator().manual_seed(seed)
    tokens, states = torch.full((rows, 1), END), [automaton.start] * rows
    with torch.inference_mode():
        for _ in range(limit):
            masks = torch.stack([automaton.allowed(state) for state in states])
            logits = model(tokens, start=tokens.shape[1] - 1)[:, -1].masked_fill(~masks, -math.inf)
            drawn = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)
            states = [automaton.step(state, int(token)) for state, token in zip(states, drawn)]
            tokens = torch.cat([tokens, drawn], dim=1)
    return tokens[:, 1:].tolist()


def completed(row: list[int]) -> str:
    assert END in row, "the reply was cut off"
    return tokenizer().decode(row[: row.index(END)], skip_special_tokens=False)


@pytest.mark.parametrize("exponent", [0, 2])
def test_random_answers_are_json_and_read_back(exponent):
    automaton, rng = answer_json(tokenizer(), END, exponent=exponent), random.Random(1)
    for _ in range(300):
        text = random_reply(automaton, rng)
        value = json.loads(text)
        assert list(value) == ["answer"] and math.isfinite(value["answer"])
        assert read_reply(text).source == "json"
        assert exponent or finqa_replies.parse_reply(text).failure is None


def test_answers_can_also_be_texts():
    automaton, rng = answer_json(tokenizer(), END, digits=1, decimals=0, texts=("yes", 'é"')), random.Random(1)
    found = {json.loads(random_reply(automaton, rng))["answer"] for _ in range(400)}
    assert {"yes", 'é"'} <= found and found - {"yes", 'é"'} <= set(range(-9, 10))


def test_a_model_with_random_weights_makes_no_structure_error_in_answers():
    automaton = answer_json(tokenizer(), END)
    texts = [completed(row) for row in sampled_replies(automaton, rows=400, limit=automaton.longest)]
    assert all(read_reply(text).source == "json" for text in texts)
    assert len(set(texts)) > 300


def test_a_model_with_random_weights_makes_no_structure_error_in_programs_within_a_budget():
    automaton = program(tokenizer(), END, steps=4, operations=NUMERIC)
    assert automaton.longest > 60
    texts = [completed(row) for row in sampled_replies(within(automaton, 60), rows=300, limit=60)]
    for text in texts:
        assert 1 <= len(dsl.parse(text)) <= 4
    assert {len(dsl.parse(text)) for text in texts} >= {1, 2}


def test_a_budget_is_what_keeps_a_reply_from_being_cut_off():
    automaton = program(tokenizer(), END, steps=4)
    cut = [row for row in sampled_replies(automaton, rows=100, limit=30) if END not in row]
    kept = [row for row in sampled_replies(within(automaton, 30), rows=100, limit=30) if END not in row]
    assert len(cut) > 50 and kept == []


@pytest.mark.parametrize(
    ("options", "parse"),
    [
        ({"steps": 5}, finqa_parse),
        ({"steps": 3, "operations": (*ARITHMETIC, *TABLE), "rows": ROWS}, finqa_parse),
        ({"steps": 4, "operations": TABLE, "rows": ROWS}, finqa_parse),
        ({"steps": 12, "operations": NUMERIC, "digits": 2, "decimals": 1}, dsl.parse),
        ({"steps": 5, "operations": WITH_NAMES, "names": ("Alder", "Oak tree"), "digits": 2, "decimals": 1}, dsl.parse),
    ],
)
def test_random_programs_are_parsed_and_use_everything_that_is_allowed(options, parse):
    automaton, rng, operations, references = program(tokenizer(), END, **options), random.Random(2), set(), set()
    for _ in range(250):
        steps = parse(random_reply(automaton, rng))
        operations |= {step.operation for step in steps}
        references |= {a.step for step in steps for a in step.arguments if isinstance(a, Reference)}
    assert operations == set(options.get("operations", ARITHMETIC))
    assert options.get("operations") == TABLE or len(references) >= min(3, options["steps"] - 1)


def test_rows_that_the_language_cannot_write_are_left_out():
    automaton, rng = program(tokenizer(), END, steps=1, operations=TABLE, rows=ROWS), random.Random(0)
    found = {finqa_parse(random_reply(automaton, rng))[0].first.text for _ in range(200)}
    assert found == {"net sales", "goodwill ( 2 )", "cash, net", "été"} | ({"interest, none"} & found)


def test_the_lead_stands_in_front():
    text = random_reply(program(tokenizer(), END, lead="program: "), random.Random(3))
    assert text.startswith("program: ")
    assert finqa_replies.parse_reply(text).failure is None


@pytest.mark.parametrize(
    "text",
    [
        "add(1, 2), add(#1, 3)",  # not earlier
        "add(#0, 3)",
        "greater(1, 2), add(#0, 3)",  # a yes or no is not a number
        "add(01, 2)",
        "add(1,2)",
        "add(1, 2) ",
        "add(1, 2), ",
        "add(1, const_pi)",
        "add(1, 5,829)",
        "table_max(net sales, none)",  # no rows given
        "add(1, 2), add(1, 2), add(1, 2), add(1, 2), add(1, 2), add(1, 2)",  # six steps
    ],
)
def test_what_is_no_program_is_refused(text):
    assert not determinise(grammar(steps=5)).accepts(text.encode())


def test_kinds_are_kept_apart_in_rankings():
    dfa = determinise(grammar(4, WITH_NAMES, names=["Oak", "Elm"]))
    allowed = ["name(1, Oak), name(2, Elm), rank(#0, #1), first(#2, none)", "add(1, 2), name(#0, Oak), first(#1, none)"]
    refused = ["name(1, Oak), add(#0, 2)", "add(1, 2), first(#0, none)", "name(1, Ash)", "rank(#0, #1)"]
    assert all(dfa.accepts(text.encode()) for text in allowed)
    assert not any(dfa.accepts(text.encode()) for text in refused)


def test_the_courses_own_programs_are_in_the_grammar():
    programs = {sample.program: dsl.parse(sample.program) for sample in dataset(0).validation}
    names = {str(step.second) for steps in programs.values() for step in steps if step.operation == "name"}
    numeric, ranked = determinise(grammar(21, NUMERIC)), determinise(grammar(6, WITH_NAMES, (), names, 2, 5))
    checked = 0
    for text, steps in programs.items():
        rankings = any(step.operation == "name" for step in steps)
        if not rankings or len(steps) <= 6:  # there is no room for longer rankings
            checked += 1
            assert (ranked if rankings else numeric).accepts(text.encode()), text
    numbers = sum(all(step.operation != "name" for step in steps) for steps in programs.values())
    assert numbers >= 200 and checked >= numbers + 10  # all that answer with a number, and the shorter rankings


def test_the_programs_of_real_questions_are_in_the_grammar():
    records = read_json(finqa_folder("train.json") / "train.json", "the train portion")
    outside, read, arithmetic = [], 0, cache(lambda steps: determinise(grammar(steps)))
    for record in records:
        text = record.get("qa", record)["program"]
        try:
            steps = finqa_parse(text)
        except dsl.ProgramError:
            continue
        rows = [str(step.first) for step in steps if step.operation in TABLE]
        read += 1
        canonical = ", ".join(map(str, steps))
        with_rows = determinise(grammar(len(steps), (*ARITHMETIC, *TABLE), rows)) if rows else None
        if not (with_rows or arithmetic(len(steps))).accepts(canonical.encode()):
            outside.append(canonical)
    assert read > 400
    # ".42" without a digit before its point, and "table_sum(17695228, 963202)" without the word none
    assert len(outside) <= 0.02 * read, outside


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "1 to 32 steps, not 0"),
        ({"steps": 33}, "1 to 32 steps, not 33"),
        ({"operations": ["log"]}, "'log' is no operation"),
        ({"operations": TABLE}, "need the names of rows"),
        ({"operations": TABLE, "rows": ["#0"]}, "need the names of rows"),
        ({"operations": (*TABLE, "floor"), "rows": ["sales"]}, "no parser reads"),
        ({"operations": ["name"]}, "needs names"),
        ({"operations": ["name"], "names": ["a, b"]}, "'a, b' cannot stand in a program"),
        ({"operations": WITH_NAMES, "names": ["Oak"], "steps": 9}, "at most 8 steps"),
        ({"digits": 16}, "1 to 15 digits"),
        ({"operations": ["first"]}, "no text at all"),
    ],
)
def test_arguments_that_do_not_fit_together_are_named(options, message):
    with pytest.raises(CourseError, match=message):
        program(tokenizer(), END, **options)


@pytest.mark.parametrize("options", [{"digits": 0}, {"digits": 41}, {"decimals": 50}, {"exponent": 3}])
def test_bounds_of_an_answer_are_checked(options):
    with pytest.raises(CourseError, match="digits"):
        answer_json(tokenizer(), END, **options)


def test_the_factories_give_automata_of_the_engines_protocol():
    automaton: GrammarAutomaton = answer_json(tokenizer(), END)
    assert automaton.start == 0 and automaton.longest == len('{"answer": -123456789012.123456}') + 1
