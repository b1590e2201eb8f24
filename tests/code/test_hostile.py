"""C that nobody would write: each file has its clear answer, and costs no more than it may. In processes of their own,
since what a process has once taken of memory cannot be told from what it takes now.
"""

from __future__ import annotations

import pytest
from tests import bounded

SECONDS, MEGABYTES = 15.0, 300  # of CPU, on a machine that is busy with other things; above what a small file takes

# what the index keeps (functions, entries, fields set, names handed on, macros, members); graphs; what is judged
ANSWERS = {
    "rows that nothing opens": ["0 0 0 0 0 0", "0 calls", ""],
    "functions without a head": ["0 0 0 0 0 0", "0 calls", ""],
    "open braces": ["0 0 0 0 0 0", "0 calls", "a brace without end"],
    "open parentheses": ["0 0 0 0 0 0", "0 calls", ""],
    "closing braces": ["0 0 0 0 0 0", "0 calls", "a stray closing brace"],
    "hashes": ["0 0 0 0 0 0", "0 calls", ""],
    "conditionals that nothing ends": ["0 0 0 0 0 0", "0 calls", ""],
    "open comments": ["0 0 0 0 0 0", "0 calls", ""],
    "a string that does not end": ["0 0 0 0 0 0", "0 calls", "a brace without end"],
    "a name of a megabyte": ["1 0 0 0 0 0", "1 calls", ""],
    "a line of a megabyte": ["1 0 0 0 0 0", "0 calls", ""],
    "a macro of a megabyte": ["0 0 0 0 1 0", "0 calls", ""],
    "a million blanks in a head": ["1 0 0 0 0 0", "0 calls", ""],
    "initcalls without a semicolon": ["1 0 0 66664 0 0", "0 calls", ""],
    "system calls": ["17432 0 0 17432 0 0", "0 calls", ""],
    "fields set to a name": ["1 0 99991 0 0 0", "0 calls", ""],
    "calls through pointers": ["1 0 0 0 0 0", "67401 calls", ""],
    "tables in a function": ["1 26898 0 0 0 0", "0 calls", ""],
    "tables that do not end": ["0 0 0 0 0 0", "0 calls", "a brace without end"],
    "a table of many rows": ["0 34073 0 0 0 0", "0 calls", ""],
    "members": ["0 0 0 0 0 43970", "0 calls", ""],
    "functions each handed on": ["19287 0 0 19286 0 0", "19287 calls", ""],
    "one function handed on everywhere": ["21513 0 0 64536 0 0", "21512 calls", ""],
    "functions of one name": ["22222 0 0 22222 0 0", "44444 calls", ""],
    "functions that all call each other": ["280 0 0 0 0 0", "78400 calls", ""],
    "parameters that are called": ["1 0 0 0 0 0", "45000 calls", ""],
    "case without a colon": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "parentheses without end": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "blocks without end": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "conditions without end": ["1 functions, 0 not all read", "0 loops", "0 0 0"],
    "commas without end": ["1 functions, 0 not all read", "0 loops", "0 0 0"],
    "else after else": ["1 functions, 0 not all read", "0 loops", "0 0 0"],
    "statement expressions": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "labels of labels": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "members of members": ["1 functions, 0 not all read", "0 loops", "0 0 0"],
    "structures in structures": ["0 functions, 0 not all read", "0 loops", "1 0 0"],
    "statements": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "declarators": ["1 functions, 1 not all read", "0 loops", "0 0 0"],
    "cases": ["1 functions, 0 not all read", "0 loops", "0 0 0"],
    "loops in loops": ["1 functions, 0 not all read", "14580 loops", "0 0 0"],
    "gotos back to the first label": ["1 functions, 0 not all read", "1 loops", "0 0 0"],
    "one function of many pins": ["no finding", "a budget was spent"],
    "pins that go to one end": ["no finding", "a budget was spent"],
    "many functions of many pins": ["no finding", "a budget was spent"],
    "retries in one function": ["some findings", "a budget was spent"],
    "functions that retry": ["some findings", "all was followed"],
    "registrations let go of": ["no finding", "a budget was spent"],
    "functions that let go": ["no finding", "all was followed"],
    "switches that refuse": ["no finding", "all was followed"],
    "look-ups of areas": ["no finding", "a budget was spent"],
}


@pytest.fixture(scope="module")
def measured(root):
    """Name -> what it came to."""
    return bounded.measured(root, "tests.code.hostile", *ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_answered_and_costs_no_more_than_it_may(measured, name):
    found = measured[name]
    assert found["told"] == ANSWERS[name]
    assert found["seconds"] < SECONDS
    assert found["megabytes"] < MEGABYTES
