"""A stand-in for an MCP server over stdio: it speaks the protocol by hand, so it starts in no time and can misbehave.

Its first argument says how. Its second is a file in which it notes each start.
"""

import json
import os
import socket
import subprocess
import sys
import time

HOW, NOTES = sys.argv[1], sys.argv[2]
EVIL = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "pattern": "^(a+)+$"},
        "self": {"$ref": "#"},
        "many": {"$ref": "#/$defs/a0"},
    },
    "patternProperties": {"^(x+)+$": {"type": "integer"}},
    "required": ["text"],
    "$defs": {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 4} for n in range(30)},
}
TOOLS = {
    "say": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    "environment": {"type": "object"},
    "secret": {"type": "object", "properties": {"key": {"description": f"Not {os.environ.get('KEY')}"}}},
    "look": {"type": "object", "properties": {"path": {"type": "string"}, "port": {"type": "integer"}}},
    "misbehave": {"type": "object"},
    "evil": EVIL,
}


def send(message: dict) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(words: str) -> dict:
    return {"content": [{"type": "text", "text": words}]}


def misbehave() -> dict:
    if HOW == "crash":
        os._exit(3)
    if HOW == "hang":
        time.sleep(600)
    if HOW == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    if HOW == "noise":
        for n in range(5000):
            print(f"noise {n} \x1b[2J", file=sys.stderr)
        sys.stderr.flush()
    if HOW == "long":
        return text("y" * 300_000)
    if HOW == "child":
        child = subprocess.Popen(["sleep", "600"])
        return text(str(child.pid))
    return {"content": [{"type": "text", "text": "It failed."}], "isError": True}


def look(path: str, port: int) -> str:
    """What it can reach of the machine."""
    found = []
    for place in (path, NOTES, "/home/job/own"):
        try:
            with open(place, "a" if place != path else "r"):
                found.append("yes")
        except OSError:
            found.append("no")
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        found.append("yes")
    except OSError:
        found.append("no")
    return " ".join(found)


def call(name: str, arguments: dict) -> dict:
    if name == "say":
        return text(f"You said {arguments['text']}.")
    if name == "environment":
        return text(json.dumps(dict(os.environ)))
    if name == "secret":
        return text(f"My key is {os.environ.get('KEY', 'none')} and that is that.")
    if name == "look":
        return text(look(arguments["path"], arguments["port"]))
    if name == "evil":
        return text("It passed.")
    return misbehave()


def describe(name: str) -> str:
    return f"Says {os.environ.get('KEY')}" if name == "secret" else f"{name} it"


def answer(method: str, params: dict) -> dict | None:
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "stand-in", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [{"name": name, "description": describe(name), "inputSchema": TOOLS[name]} for name in TOOLS]}
    if method == "tools/call":
        return call(params["name"], params.get("arguments") or {})
    return None


def main() -> None:
    try:
        with open(NOTES, "a") as notes:
            notes.write(f"{os.getpid()}\n")
    except OSError:
        print("can't note it", file=sys.stderr)  # in a sandbox
    print(f"started as {HOW}", file=sys.stderr, flush=True)
    if HOW == "broken" or (HOW == "once" and len(open(NOTES).readlines()) > 1):  # noqa: SIM115 - a program of one file
        sys.exit("I can't start: no such thing")
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        result = answer(message["method"], message.get("params") or {})
        if result is None:
            send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
        else:
            send({"id": message["id"], "result": result})
    if HOW == "stubborn":
        time.sleep(600)


if __name__ == "__main__":
    main()
