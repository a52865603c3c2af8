"""What schemathesis cannot know: how a store plugin signs its body.

A body that brings a key and a signature gets the right ones, so that what stands behind the signature is reached;
one that lacks them, or brings something else in their place, stays as it is.
"""

import base64
import hashlib
import hmac
import json
import os

import schemathesis


def written_by_php(body):
    """As PHP's json_encode writes it: ASCII, slashes escaped."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/")


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not case.operation.path.startswith("/integrations/") or not isinstance(body, dict):
        return
    if not isinstance(body.get("key"), str) or not isinstance(body.get("hmac"), str):
        return
    body = {**body, "key": os.environ["LOYALTY_KEY"]}
    del body["hmac"]
    text = written_by_php({name: body[name] for name in sorted(body)})
    mac = hmac.new(os.environ["LOYALTY_SECRET"].encode(), text.encode(), hashlib.sha256)
    case.body = {**body, "hmac": base64.b64encode(mac.digest()).decode()}
