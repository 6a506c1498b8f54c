"""What a promise's test says: that it failed, or what it held."""

from load import Judgement, quarantined_groups, stored_groups


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def judged(load, faults, sql=None, must=None, may=None, **more):
    """The row of the table. Failed when anything is lost, repeated or torn, or a client got an answer it must not."""
    sql = sql or load.platform.sql
    found = Judgement(load.attempts, stored_groups(sql), quarantined_groups(sql), must, may)
    wrong = load.faults + found.faults
    result = {"load": load.describe(), "faults": faults, "lost": found.lost, "repeated": found.repeated,
              "torn": found.torn, "unacknowledged_stored": found.unacknowledged, "acknowledged": load.acknowledged,
              **more}
    if wrong:
        raise Failed(f"lost {found.lost}, repeated {found.repeated}, torn {found.torn}; " + "; ".join(wrong[:5]))
    check(load.acknowledged > 1000, f"no load was held: {load.acknowledged} records were acknowledged")
    return result
