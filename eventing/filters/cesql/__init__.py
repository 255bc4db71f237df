"""CloudEvents SQL (CESQL) 1.0.0: text in, an expression of Python closures out, values and errors of an event. Pure.

    from eventing.filters.cesql import ParseError, parse

    parsed = parse("type = 'order' AND subject LIKE 'eu-%'")
    if isinstance(parsed, ParseError):
        print(parsed)                       # a sentence, the line and a caret below the place
    else:
        value, error = parsed.evaluate({"id": "1", "source": "/shop", "type": "order", "specversion": "1.0"})

`evaluate` takes the context attributes by lower-case name (`Event.attributes`), each a str, an int or a bool;
timestamps and URIs are text. It always gives a value; `error` is None, or an `EvaluationError` whose `kind` is spelled
as `error` in the specification's conformance kit: `parse` (of a `ParseError`), `math`, `cast`, `missingAttribute`,
`missingFunction`, `functionEvaluation`, `generic`. A test of that kit is therefore

    parsed = parse(test["expression"])
    if isinstance(parsed, ParseError):
        assert test["error"] == parsed.kind
    else:
        value, error = parsed.evaluate(attributes)
        assert (value, error and error.kind) == (test["result"], test.get("error"))

where 1 and True must be told apart by their class. `parsed.passes(attributes)` is the answer as a filter: true, and
without an error. `parse(text, functions)` takes functions of one's own (`BUILT_IN.extended(Function(…))`).

Read in this order: `tokens` and `parser` (the grammar), `tree`, `casts`, `functions`, `like`, `evaluate` (closures),
`expression` (what callers hold), `explain`. What the specification leaves open is decided here:

- The grammar files decide where the prose is silent or says otherwise, as in the SDKs: AND, OR and XOR share one level
  and group to the right (`a AND b OR c` is `a AND (b OR c)`), and a sign that touches digits belongs to the number
  (`5-1` is two numbers and refused, `5 - 1` is 4). NOT and `-` bind tighter than LIKE, IN and all binary operators.
- Evaluation stops at the first error (the specification's fail-fast mode, which it asks of filters). Every operator
  around the error gives the zero value of its type; so the value is that of the outermost one, False if unknown.
- An overflow of `+ - * /` or of unary minus is a math error with the nearest value there is, as in the case of ABS.
- In a string, a backslash before the enclosing quote, or the quote doubled, stands for the quote; any other backslash
  is itself. In a LIKE pattern `\\%` and `\\_` stand for the characters.
- Names of attributes, functions and keywords may be written in either case. Strings are counted in characters.
- `x IN (…)` looks from left to right and stops at the first equal member; one that cannot be cast is an error.
- IS_INT and IS_BOOL of the drafts are still there, as in the SDKs.
"""

from eventing.filters.cesql.casts import Type, Value
from eventing.filters.cesql.errors import ErrorKind, EvaluationError, ParseError
from eventing.filters.cesql.expression import Expression, parse
from eventing.filters.cesql.functions import BUILT_IN, Function, FunctionFailed, Functions

__all__ = [
    "BUILT_IN",
    "ErrorKind",
    "EvaluationError",
    "Expression",
    "Function",
    "FunctionFailed",
    "Functions",
    "ParseError",
    "Type",
    "Value",
    "parse",
]
