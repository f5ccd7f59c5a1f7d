"""Every look-up has its index, whatever the statistics: no statement reads a big table from end to end.

Each is planned with its arguments and without them, in ledgers whose rows belong to all users, to three of them
(`test_plans_skewed`), or that were loaded a moment ago and never analysed (`test_plans_loaded`): there a planner
believes other things than are true.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

from tests.support.plans import BIG, SHAPES, Plan, complaints, explain, ledger_of, literal, nodes, read_whole
from tests.support.statements import CASES, WHOLE

from laurels import ledger
from laurels.ledger.db.pool import Connection, Pool, plan_by_index
from laurels.ledger.write.sql import LOAD_BATCH, LOCK_USERS, WRITE_BATCH
from laurels.ranking import sql_index


async def test_every_look_up_of_an_ordinary_ledger_uses_its_index(database_url: str) -> None:
    """Each statement's plan names its indexes, and reads neither a table nor an index from end to end."""
    shape = SHAPES["ordinary"]
    async with ledger_of(database_url, shape) as connection:
        for case in CASES:
            plan = await _plan(connection, case.statement, case.arguments)
            used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
            assert case.indexes <= used, f"{case.statement}\nuses {used}, not {case.indexes}"
        await _check_top_list(connection)
        read = await read_whole(connection, shape)
    assert not read, complaints(read)


async def _check_top_list(connection: Connection) -> None:
    """The rows come off the index in order: no sort of the whole window."""
    plan = await _plan(connection, sql_index._TOP.format(better="0", totals="0 AS seq, 0 AS total"), [1, 10])
    limit = next(node for node in nodes(plan) if node["Node Type"] == "Limit")
    assert limit["Plans"][0]["Node Type"] in ("Index Scan", "Index Only Scan")


async def _plan(connection: Connection, statement: str, arguments: list[object]) -> Plan:
    """Return the plan of a statement with literals in place of its parameters."""
    return await explain(connection, re.sub(r"\$(\d+)", lambda found: literal(arguments[int(found[1]) - 1]), statement))


async def test_a_plan_kept_from_an_empty_ledger_still_uses_indexes(pool: Pool) -> None:
    """A lane keeps its plans while the ledger grows: those made on its first day must do for its last."""
    async with pool.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")  # what PostgreSQL does by itself, later
        await plan_by_index(connection)
        for statement in (LOCK_USERS, LOAD_BATCH, WRITE_BATCH):
            count = max(map(int, re.findall(r"\$(\d+)", statement)))
            await connection.execute(f"DEALLOCATE ALL; PREPARE kept AS {statement}")
            found = list(nodes(await explain(connection, f"EXECUTE kept ({', '.join(['NULL'] * count)})")))
            scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"} & BIG
            whole = {node["Index Name"] for node in found if "Index Name" in node and "Index Cond" not in node}
            assert not scanned | whole, f"{statement}\nreads {scanned | whole} from end to end"


_SQL = re.compile(r"\s*(--[^\n]*\n\s*)*(SELECT|WITH|UPDATE|DELETE)\s")
_OF_BIG = re.compile(rf"\b(FROM|JOIN|UPDATE)\s+({'|'.join(sorted(BIG))})\b")
_BY_KEY = re.compile(r"WHERE (\w\.)?(id|action_id|token_hash) = \$1\b")


def test_every_statement_is_planned() -> None:
    """A new statement of the ledger on a big table is by its key, is among CASES, or says why it reads all."""
    planned = {case.statement for case in CASES}
    unplanned = {
        name
        for name, statement in _statements()
        if statement not in planned and not _BY_KEY.search(statement) and name not in WHOLE
    }
    assert not unplanned
    assert set(WHOLE) <= {name for name, _ in _statements()}, "a reason for a statement that is gone"


def _statements() -> Iterator[tuple[str, str]]:
    """Yield the SQL on big tables of all modules of the ledger: their constants, and what stands in functions."""
    for info in pkgutil.walk_packages(ledger.__path__, f"{ledger.__name__}."):
        module = importlib.import_module(info.name)
        name = info.name.removeprefix(f"{ledger.__name__}.")
        for member, value in vars(module).items():
            for text in value.values() if isinstance(value, dict) else [value]:
                if isinstance(text, str) and _SQL.match(text) and _OF_BIG.search(text):
                    yield f"{name}.{member}", text
        for function in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    text = node.value if isinstance(node, ast.Constant) else None
                    if isinstance(text, str) and _SQL.match(text) and _OF_BIG.search(text):
                        yield f"{name}.{function.name}", text
