# SPDX-License-Identifier: Apache-2.0
"""A model provider on loopback that says what a script tells it, for tests of the real HTTP path.

    python server.py SCRIPT [--key KEY] [--port-fd N] [--certificate FILE.pem]

It prints its port once it listens, or writes it to descriptor N. With a certificate (and its key) in one file
it speaks https.

It speaks Anthropic Messages (POST .../messages), OpenAI Chat Completions (.../chat/completions) and
OpenAI Responses (.../responses), streamed. `GET /stats` answers the requests and tokens it counted:

    {"requests": 3, "answered": 2, "usage": {"input": ..., "output": ..., "cache_read": ..., "cache_write": ...},
     "headers": [{...}, ...], "bodies": [{...}, ...]}                          of each request

SCRIPT is a .json file with a list of steps, handed out in order of arrival (the last one again and again
when it has "repeat": true), or a .py file with `def reply(request) -> step`. `request` is normalized:

    {"protocol": "anthropic"|"chat"|"responses", "model": ..., "system": text, "tools": [names], "number": 1, 2, ...,
     "messages": [{"role": "user"|"assistant", "text": ..., "images": n, "tool_calls": [{"id", "name", "arguments"}],
                   "tool_results": [{"id", "text", "error"}]}, ...], "raw": body}

A step, all members optional:

    {"text": "...", "tool_calls": [{"name": "...", "arguments": {...}}],   "arguments" may be text that is no JSON
     "stop": "max_tokens" | "refused",         why it ends, when not by itself
     "usage": {"input": 9, "output": 3, "cache_read": 0, "cache_write": 0},   else counted from the text
     "thinking": "...",                        a block that wants to come back
     "status": 429, "headers": {"Retry-After": "0"}, "error": "...",          an error instead of a reply
     "plain": true,                            one JSON object instead of a stream (chat, responses)
     "cut": true,                              half the stream, then the connection ends
     "malformed": true,                        an event that is no JSON, in the middle
     "server_error": "overloaded_error",       an error event in the middle of the stream
     "huge": 50000000,                         so many bytes of text
     "drip": 0.01,                             seconds between single bytes
     "hang": true}                             headers, then nothing until the client leaves
"""

import argparse
import importlib.util
import json
import os
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROTOCOLS = {"/messages": "anthropic", "/chat/completions": "chat", "/responses": "responses"}


def tokens(text: str) -> int:
    """Our tokenizer: four characters are a token."""
    return (len(text) + 3) // 4


def normalize(protocol: str, body: dict, number: int) -> dict:
    out = {"protocol": protocol, "model": body.get("model"), "number": number, "raw": body}
    read = {"anthropic": _anthropic_request, "chat": _chat_request, "responses": _responses_request}
    out["system"], out["messages"], out["tools"] = read[protocol](body)
    return out


def _message(role: str) -> dict:
    return {"role": role, "text": "", "images": 0, "tool_calls": [], "tool_results": []}


def _anthropic_request(body):
    messages = []
    for message in body["messages"]:
        out = _message(message["role"])
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            kind = block["type"]
            if kind == "text":
                out["text"] += block["text"]
            elif kind == "image":
                out["images"] += 1
            elif kind == "tool_use":
                out["tool_calls"].append({"id": block["id"], "name": block["name"], "arguments": block["input"]})
            elif kind == "tool_result":
                text = "".join(b.get("text", "") for b in block.get("content", []))
                out["images"] += sum(b["type"] == "image" for b in block.get("content", []))
                out["tool_results"].append(
                    {"id": block["tool_use_id"], "text": text, "error": block.get("is_error", False)}
                )
        messages.append(out)
    system = "\n\n".join(block["text"] for block in body.get("system", []))
    return system, messages, [tool["name"] for tool in body.get("tools", [])]


def _chat_request(body):
    messages, system = [], ""
    for message in body["messages"]:
        role = message["role"]
        content = message.get("content") or ""
        if role == "system":
            system = content
            continue
        # Results of one turn are one message, as in the other protocols.
        joins = messages and messages[-1]["role"] == "user" and role in ("tool", "user")
        out = messages[-1] if joins else _message("assistant" if role == "assistant" else "user")
        if role == "tool":
            out["tool_results"].append({"id": message["tool_call_id"], "text": content, "error": False})
        elif isinstance(content, str):
            out["text"] += content
        else:
            out["text"] += "".join(part.get("text", "") for part in content)
            out["images"] += sum(part["type"] == "image_url" for part in content)
        for call in message.get("tool_calls", []):
            function = call["function"]
            out["tool_calls"].append(
                {"id": call["id"], "name": function["name"], "arguments": json.loads(function["arguments"])}
            )
        if not joins:
            messages.append(out)
    return system, messages, [tool["function"]["name"] for tool in body.get("tools", [])]


def _responses_request(body):
    messages = []
    for item in body["input"]:
        kind = item.get("type", "message")
        if kind == "reasoning":
            continue
        role = "assistant" if kind == "function_call" or item.get("role") == "assistant" else "user"
        if not messages or messages[-1]["role"] != role:
            messages.append(_message(role))
        out = messages[-1]
        if kind == "function_call":
            out["tool_calls"].append(
                {"id": item["call_id"], "name": item["name"], "arguments": json.loads(item["arguments"])}
            )
        elif kind == "function_call_output":
            out["tool_results"].append({"id": item["call_id"], "text": item["output"], "error": False})
        else:
            out["text"] += "".join(part.get("text", "") for part in item["content"])
            out["images"] += sum(part["type"] == "input_image" for part in item["content"])
    return body.get("instructions", ""), messages, [tool["name"] for tool in body.get("tools", [])]


def count_usage(protocol: str, request: dict, step: dict, seen: set) -> dict:
    """What this server charges: a prefix that was marked and sent before is read from the cache."""
    if "usage" in step:
        return {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0, **step["usage"]}
    calls = step.get("tool_calls", [])
    said = step.get("text", "") + step.get("thinking", "") + "".join(_arguments_text(c) for c in calls)
    usage = {"input": 0, "output": tokens(said), "cache_read": 0, "cache_write": 0}
    prompt = json.dumps(request["messages"])
    usage["input"] = tokens(prompt)
    system = tokens(request["system"])
    marked = any("cache_control" in block for block in request["raw"].get("system", []))
    if protocol == "anthropic" and marked:
        usage["cache_read" if request["system"] in seen else "cache_write"] = system
    elif protocol != "anthropic" and request["system"] in seen:
        usage["cache_read"] = system
    else:
        usage["input"] += system
    seen.add(request["system"])
    return usage


def _arguments_text(call: dict) -> str:
    arguments = call.get("arguments", {})
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def pieces(text: str):
    size = 24 if len(text) < 100_000 else 4096
    return [text[i : i + size] for i in range(0, len(text), size)]


def call_ids(number: int, step: dict):
    return [(f"call_{number}_{i}", call) for i, call in enumerate(step.get("tool_calls", []))]


def anthropic_events(request, step, usage):
    start = {"input_tokens": usage["input"], "output_tokens": 1}
    start["cache_read_input_tokens"] = usage["cache_read"]
    start["cache_creation_input_tokens"] = usage["cache_write"]
    yield {"type": "message_start", "message": {"model": request["model"], "usage": start, "content": []}}
    index = 0
    if "thinking" in step:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        yield {"type": "content_block_start", "index": index, "content_block": block}
        delta = {"type": "thinking_delta", "thinking": step["thinking"]}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        delta = {"type": "signature_delta", "signature": "signed"}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    yield {"type": "ping"}
    if step.get("text"):
        yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
        for piece in pieces(step["text"]):
            yield {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    for id_, call in call_ids(request["number"], step):
        block = {"type": "tool_use", "id": id_, "name": call["name"], "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for piece in pieces(_arguments_text(call)):
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    stop = "tool_use" if step.get("tool_calls") else "end_turn"
    stop = {"max_tokens": "max_tokens", "refused": "refusal"}.get(step.get("stop"), stop)
    usage = {"output_tokens": usage["output"]}
    yield {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}
    yield {"type": "message_stop"}


def chat_usage(usage):
    prompt = usage["input"] + usage["cache_read"]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage["output"],
        "total_tokens": prompt + usage["output"],
        "prompt_tokens_details": {"cached_tokens": usage["cache_read"]},
    }


def chat_finish(step):
    stop = "tool_calls" if step.get("tool_calls") else "stop"
    return {"max_tokens": "length", "refused": "content_filter"}.get(step.get("stop"), stop)


def chat_events(request, step, usage):
    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"object": "chat.completion.chunk", "model": request["model"], "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(step.get("text", "")):
        yield chunk({"content": piece})
    for i, (id_, call) in enumerate(call_ids(request["number"], step)):
        function = {"name": call["name"], "arguments": ""}
        yield chunk({"tool_calls": [{"index": i, "id": id_, "type": "function", "function": function}]})
        for piece in pieces(_arguments_text(call)):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield chunk({}, chat_finish(step))
    yield {"object": "chat.completion.chunk", "model": request["model"], "choices": [], "usage": chat_usage(usage)}
    yield "[DONE]"


def chat_whole(request, step, usage):
    message = {"role": "assistant", "content": step.get("text")}
    calls = [
        {"id": id_, "type": "function", "function": {"name": call["name"], "arguments": _arguments_text(call)}}
        for id_, call in call_ids(request["number"], step)
    ]
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": chat_finish(step)}
    return {"model": request["model"], "choices": [choice], "usage": chat_usage(usage)}


def responses_whole(request, step, usage):
    output = []
    if "thinking" in step:
        output.append({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": step["thinking"]})
    if step.get("text"):
        content = [{"type": "output_text", "text": step["text"], "annotations": []}]
        output.append({"type": "message", "id": "msg_1", "role": "assistant", "content": content})
    for id_, call in call_ids(request["number"], step):
        arguments = _arguments_text(call)
        output.append({"type": "function_call", "call_id": id_, "name": call["name"], "arguments": arguments})
    stop = step.get("stop")
    reason = {"max_tokens": "max_output_tokens", "refused": "content_filter"}.get(stop)
    prompt = usage["input"] + usage["cache_read"]
    return {
        "model": request["model"],
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "output": output,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": usage["cache_read"]},
            "output_tokens": usage["output"],
        },
    }


def responses_events(request, step, usage):
    whole = responses_whole(request, step, usage)
    yield {"type": "response.created", "response": {**whole, "output": [], "usage": None}}
    for i, item in enumerate(whole["output"]):
        yield {"type": "response.output_item.added", "output_index": i, "item": item}
        if item["type"] == "message":
            for piece in pieces(step["text"]):
                yield {"type": "response.output_text.delta", "output_index": i, "delta": piece}
        yield {"type": "response.output_item.done", "output_index": i, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


EVENTS = {"anthropic": anthropic_events, "chat": chat_events, "responses": responses_events}
WHOLE = {"chat": chat_whole, "responses": responses_whole}


def broken_event(protocol: str, kind: str):
    if protocol == "chat":
        return {"error": {"message": f"the model broke off: {kind}", "code": 500}}
    if protocol == "responses":
        return {"type": "error", "code": "server_error", "message": f"the model broke off: {kind}"}
    return {"type": "error", "error": {"type": kind, "message": "the model broke off"}}


class Script:
    """Steps in order, or a function."""

    def __init__(self, source):
        self.lock = threading.Lock()
        self.steps, self.function = None, None
        if callable(source):
            self.function = source
        elif isinstance(source, list):
            self.steps = list(source)
        elif str(source).endswith(".py"):
            spec = importlib.util.spec_from_file_location("provider_script", source)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self.function = module.reply
        else:
            self.steps = json.loads(Path(source).read_text())

    def step(self, request: dict) -> dict:
        with self.lock:
            if self.function:
                return self.function(request)
            if not self.steps:
                return {"status": 400, "error": "the script is at its end"}
            return self.steps[0] if self.steps[0].get("repeat") else self.steps.pop(0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send_json(self, status, body, headers=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path != "/stats":
            return self.send_json(404, {"error": {"message": "no such page"}})
        with self.server.lock:
            return self.send_json(200, self.server.stats)

    def do_POST(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            pass
        # One connection per request: a client that leaves is seen, and nothing lingers.
        self.close_connection = True

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        text = self.rfile.read(length)
        protocol = next((p for end, p in PROTOCOLS.items() if self.path.endswith(end)), None)
        if protocol is None:
            return self.send_json(404, {"error": {"message": f"no endpoint {self.path}"}})
        given = self.headers.get("x-api-key") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.key and given != self.server.key:
            # What it was given is said back, as some servers do.
            return self.send_json(401, {"error": {"message": f"invalid key {given}"}})
        body = json.loads(text)
        stats = self.server.stats
        with self.server.lock:
            stats["requests"] += 1
            request = normalize(protocol, body, stats["requests"])
            stats["bodies"].append(body)
            stats["headers"].append(dict(self.headers.items()))
        step = self.server.script.step(request)
        if step.get("status", 200) != 200:
            error = {"type": "error", "error": {"type": "scripted", "message": step.get("error", "scripted")}}
            if "code" in step:
                error["error"]["code"] = step["code"]
            return self.send_json(step["status"], error, step.get("headers"))
        if "huge" in step:
            step = {**step, "text": "x" * step["huge"]}
        with self.server.lock:
            usage = count_usage(protocol, request, step, self.server.seen)
        if step.get("plain"):
            self.send_json(200, WHOLE[protocol](request, step, usage))
        else:
            self.stream(protocol, request, step, usage)
        if not any(step.get(flaw) for flaw in ("cut", "malformed", "server_error", "hang", "huge")):
            with self.server.lock:
                stats["answered"] += 1
                for name, count in usage.items():
                    stats["usage"][name] += count

    def stream(self, protocol, request, step, usage):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        events = []
        for event in EVENTS[protocol](request, step, usage):
            name = f"event: {event['type']}\n" if protocol != "chat" else ""
            data = event if isinstance(event, str) else json.dumps(event)
            events.append(f"{name}data: {data}\n\n")
        middle = len(events) // 2
        if step.get("hang"):
            self.wfile.flush()
            # Returns when the client closes its side.
            self.connection.recv(1)
            return
        if step.get("cut"):
            events = [*events[:middle], events[middle][: len(events[middle]) // 2]]
        if step.get("malformed"):
            events[middle:] = ['data: {"type": "text", "oops\n\n']
        if step.get("server_error"):
            events[middle:] = [f"data: {json.dumps(broken_event(protocol, step['server_error']))}\n\n"]
        stream = "".join(events).encode()
        if "drip" not in step:
            self.wfile.write(stream)
            return
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(stream)):
            self.wfile.write(stream[i : i + 1])
            time.sleep(step["drip"])


def start(script, key: str = "", certificate: str = "") -> ThreadingHTTPServer:
    """A server on a free port of 127.0.0.1, answering in threads of its own; shutdown() ends it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.lock = threading.Lock()
    server.script, server.key, server.seen = Script(script), key, set()
    usage = {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0}
    server.stats = {"requests": 0, "answered": 0, "usage": usage, "bodies": [], "headers": []}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def main():
    parser = argparse.ArgumentParser(description="a scripted model provider on loopback")
    parser.add_argument("script")
    parser.add_argument("--key", default="", help="refuse requests with another key")
    parser.add_argument("--port-fd", type=int, default=1)
    parser.add_argument("--certificate", default="")
    arguments = parser.parse_args()
    server = start(arguments.script, arguments.key, arguments.certificate)
    os.write(arguments.port_fd, b"%d\n" % server.server_address[1])
    if arguments.port_fd != 1:
        os.close(arguments.port_fd)
    threading.Event().wait()


if __name__ == "__main__":
    main()
