"""What the parts of the CMQ tour share: comparing, expecting a refusal, waiting for a condition under a deadline."""

import json
import time

from cmq.cmq_exception import CMQServerException

# Far above what a busy machine needs.
DEADLINE = 60
LOOK = 0.05
# How far the clocks of one machine may look apart when seconds are cut off, and a busy machine's delay.
CLOCK_SLACK = 30


def equal(what, found, expected):
    if found != expected or type(found) is not type(expected):
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def true(what, condition, shown=""):
    if not condition:
        raise AssertionError(f"{what}: {shown!r}")


def digits(what, text):
    """A decimal number as text, at most a u64."""
    true(what, isinstance(text, str) and text.isascii() and text.isdigit() and int(text) < 1 << 64, text)


def recent(what, seconds, ahead=0):
    """A whole Unix time that is now, or `ahead` seconds from now."""
    true(what, type(seconds) is int, seconds)
    true(what, abs(seconds - ahead - time.time()) <= CLOCK_SLACK, (seconds, ahead, time.time()))


def refused(code, message, call, *arguments):
    """The call fails with exactly this code and text; answers the whole answer."""
    try:
        answer = call(*arguments)
    except CMQServerException as error:
        equal(f"the code where {code} {message} is due", (error.code, error.message), (code, message))
        digits("requestId of a refusal", error.request_id)
        return error.data
    raise AssertionError(f"{call} {arguments}: answered {answer!r}, expected {code} {message}")


def empty(call, *arguments):
    return refused(7000, "(10200)no message", call, *arguments)


def raw(client, action, **parameters):
    """An action the SDK has no function for; answers the whole answer, or raises as the SDK does."""
    response = client.request(action, parameters)
    client.check_status(response)
    return json.loads(response.data)


def until(what, ask):
    """Asks until the answer is not None."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found = ask()
        if found is not None:
            return found
        time.sleep(LOOK)
    raise AssertionError(f"not within {DEADLINE} s: {what}")


def received(queue, count, wait=10):
    """So many messages, in the order in which they came; a batch may hold fewer than are there."""
    messages = []
    while len(messages) < count:
        messages += queue.batch_receive_message(16, wait)
    equal("messages received", len(messages), count)
    return messages
