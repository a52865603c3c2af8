"""What schemathesis cannot know: how whole numbers are written, how a store plugin signs its body, and what makes a
request another one."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import time

import schemathesis

numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    case.body = whole(case.body)
    if case.operation.path.startswith("/integrations/"):
        sign(case)
    renew(case)


def whole(value):
    """JSON Schema takes 5.0 for an integer; the server does not, since it may have been something else before it
    became a binary fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


def renew(case):
    """Makes most well-formed idempotency keys unique. Otherwise all requests but the first are rejected, because
    another request has used their key."""
    headers = case.headers or {}
    key, number = headers.get("Idempotency-Key"), next(numbers)
    if isinstance(key, str) and 0 < len(key) < 200 and key.isascii() and key.isprintable() and number % 8:
        if " " not in key:
            headers["Idempotency-Key"] = f"{key}-{number}"


def sign(case):
    """Signs a body that has a key and a signature, and sets its time to now if it has one, so that requests get past
    the signature. A body that lacks them, or has another type in their place, stays unchanged."""
    body = case.body
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in ("key", "hmac")):
        return
    body = {**body, "key": os.environ["LOYALTY_KEY"]}
    if type(body.get("t")) is int and body["t"] > 0:
        body["t"] = int(time.time())
    del body["hmac"]
    text = written_by_php({name: body[name] for name in sorted(body)})
    mac = hmac.new(os.environ["LOYALTY_SECRET"].encode(), text.encode(), hashlib.sha256)
    case.body = {**body, "hmac": base64.b64encode(mac.digest()).decode()}


def written_by_php(body):
    """As PHP's json_encode writes it: ASCII, slashes escaped."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/")
