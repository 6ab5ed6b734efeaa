"""Keeps the tester from locking itself out: it finds its own account and token in the lists that it reads."""

import os

import schemathesis

OWN = {"name": os.environ["OWN_NAME"], "id": os.environ["OWN_TOKEN_ID"]}
ENDING = {"changeUser", "deleteUser", "revokeToken"}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.definition.raw.get("operationId") not in ENDING:
        return
    for name, own in OWN.items():
        if case.path_parameters.get(name) == own:
            case.path_parameters[name] = "nobody"
