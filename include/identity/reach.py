"""Which records a change may reach: those that share a key or a likely pair, now or before.

Who else is one person stays as it was, so that a run works on a small part of all records.
"""

import duckdb

KEYED = """CREATE TABLE keyed AS
    SELECT n, unnest([person_key, email, phone]) AS key, true AS now FROM hashed
    UNION ALL SELECT n, unnest([person_key, email, phone]) AS key, false AS now
    FROM kept SEMI JOIN changed USING (n)"""
PAIRED = """CREATE TABLE paired AS SELECT l AS n, r AS other FROM (
    SELECT l, r FROM linked UNION SELECT l, r FROM linked_before UNION SELECT l, r FROM decided);
    INSERT INTO paired SELECT other, n FROM paired"""
TOUCHED = """CREATE TABLE touched AS SELECT n FROM changed UNION SELECT n FROM fresh
    UNION SELECT l FROM decided UNION SELECT r FROM decided;
    CREATE TABLE reached AS FROM touched;
    CREATE TABLE newest AS FROM touched"""
NEXT = """CREATE OR REPLACE TABLE newest AS SELECT DISTINCT n FROM (
    SELECT n FROM keyed SEMI JOIN (
        SELECT key FROM keyed SEMI JOIN (FROM keyed SEMI JOIN newest USING (n) WHERE key <> 0)
        USING (key) ANTI JOIN touched USING (n) GROUP BY key HAVING count(*) <= {most}) USING (key)
    UNION ALL SELECT other FROM paired SEMI JOIN newest USING (n)
) ANTI JOIN reached USING (n)"""
FREQUENT = """CREATE TABLE frequent AS SELECT key FROM keyed
    SEMI JOIN (FROM keyed SEMI JOIN reached USING (n) WHERE key <> 0) USING (key)
    WHERE now GROUP BY key HAVING count(*) > {most}"""


def reach(engine: duckdb.DuckDBPyConnection, *, most: int) -> None:
    """Make the table ``reached`` (n) from what changed, over keys and pairs, as far as it goes.

    Also ``frequent`` (key): those of them that too many records share, reached or not.

    most : records beyond which a key joins nobody; what changed itself is not counted, so that a
        key that was below or is now is followed.
    """
    engine.execute(KEYED)
    engine.execute(PAIRED)
    engine.execute(TOUCHED)
    while engine.execute("SELECT count(*) FROM newest").fetchall() != [(0,)]:
        engine.execute(NEXT.format(most=most))
        engine.execute("INSERT INTO reached FROM newest")
    engine.execute(FREQUENT.format(most=most))
