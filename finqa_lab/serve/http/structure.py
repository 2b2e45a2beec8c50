"""Structured replies: which grammars a client can ask for, by name, and with which bounds.

Constrained decoding cannot leave the grammar, so a reply is valid by construction, also when few tokens are allowed:
the grammar then counts them (:mod:`finqa_lab.serve.structured.budget`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.finqa.program import ARITHMETIC
from finqa_lab.quantitative.dsl import ALL_OPERATIONS
from finqa_lab.serve.http.errors import ApiError
from finqa_lab.serve.http.reading import Strict, whole
from finqa_lab.serve.request import TokenAutomaton
from finqa_lab.serve.structured.answers import answer_json
from finqa_lab.serve.structured.budget import within
from finqa_lab.serve.structured.programs import STEPS, program

Row = Annotated[str, Field(min_length=1, max_length=80)]
Name = Annotated[str, Field(min_length=1, max_length=24)]
Operation = Literal[ALL_OPERATIONS]
MAX_STEPS, MAX_ROWS, MAX_NAMES = 5, 32, 16
"""Bounds that keep the compilation of any grammar that a client can ask for at one or two seconds of one core."""


class Answer(Strict):
    """The reply is ``{"answer": -12.5}``: one number of bounded length, and nothing around it."""


class Program(Strict):
    """The reply is a program: ``subtract(5829, 5735), divide(#0, 5735)``, and nothing around it.

    Attributes:
        steps: at most so many.
        operations: which may be used; those on table rows need ``rows``, ``name`` needs ``names``.
        rows: row names of the table.
        names: for rankings.
    """

    steps: whole(1, MAX_STEPS) = STEPS
    operations: list[Operation] = Field(sorted(ARITHMETIC), min_length=1, max_length=len(ALL_OPERATIONS))
    rows: list[Row] = Field([], max_length=MAX_ROWS)
    names: list[Name] = Field([], max_length=MAX_NAMES)


Structure = Answer | Program


@dataclass(frozen=True)
class Grammars:
    """Compiles what clients ask for; a grammar is compiled once and kept.

    Attributes:
        tokenizer: of the model.
        end: ids of the tokens that end a reply.
        vocabulary: V of the model.
    """

    tokenizer: Tokenizer
    end: Collection[int]
    vocabulary: int

    def automaton(self, structure: Structure, limit: int) -> TokenAutomaton:
        """The automaton of a structure whose replies have at most ``limit`` tokens.

        Raises:
            ApiError: 400 when the bounds do not fit together, or no reply is so short.
        """
        model = {"tokenizer": self.tokenizer, "end": tuple(self.end), "vocabulary": self.vocabulary}
        try:
            if isinstance(structure, Program):
                return within(program(**model, **structure.model_dump()), limit)
            return within(answer_json(**model), limit)
        except CourseError as error:
            raise ApiError(400, f"response format: {error}", "unsupported_response_format", "response_format") from None
