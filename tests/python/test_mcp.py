# SPDX-License-Identifier: Apache-2.0
"""`kernelwright mcp` with the official SDK as the client: the protocol's eras and transports, and a scripted
agent's way from a file to an artifact."""

import json
import re
import subprocess
from contextlib import asynccontextmanager

import anyio
import httpx2
import mcp
import pytest
from command_line import binary, environment
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

pytestmark = pytest.mark.timed

MODEL = """
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2.0

def get_inputs():
    return [torch.randn(64, 512)]

def get_init_inputs():
    return []
"""

KERNEL = """#include <kernelwright/kernel_abi.h>

extern "C" void f(const kw_args* args, int64_t begin, int64_t end) {
  auto* x = static_cast<const float*>(args->buffers[0]);
  auto* y = static_cast<float*>(args->buffers[1]);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t i = 0; i < COLUMNS; ++i) {
      const float v = x[row * COLUMNS + i];
      y[row * COLUMNS + i] = RESULT;
    }
}
"""
RIGHT = "v > 0 || v != v ? v * 2 : 0"
# Takes hundreds of times as long, and the compiler cannot know the answer.
SLOW = """([&] { float s = v; for (int k = 0; k < 400; ++k) { asm volatile("" : "+x"(s)); s = s > 0 || s != s ? s : 0; }
        return s * 2; })()"""


def program(result, columns=512):
    return {
        "program": {
            "format": 1,
            "target": "cpu",
            "source": "kernels.cpp",
            "params": {"COLUMNS": columns},
            "buffers": {"x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0}},
            "run": [{"kernel": "f", "grid": [64], "args": ["x", {"out": "y"}]}],
        },
        "sources": {"kernels.cpp": KERNEL.replace("RESULT", result)},
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("mcp")
    (home / "double.py").write_text(MODEL)
    return home


def stdio(home):
    return StdioServerParameters(command=str(binary()), args=["mcp"], env=environment(home), cwd=str(home))


@asynccontextmanager
async def open_client(home, mode="auto"):
    async with mcp.Client(stdio(home), mode=mode) as client:
        yield client


def answer(result):
    """What a tool said: its object, which is also its text."""
    assert not result.is_error, result.content[0].text
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


def trouble(result):
    assert result.is_error
    assert "\n" not in result.content[0].text
    return result.content[0].text


async def tell_story(home):
    told = {"progress": []}

    async def progress(done, total, message):
        told["progress"].append((done, message))

    async with open_client(home) as client:

        async def call(name, arguments=None, **more):
            return await client.call_tool(name, arguments or {}, **more)

        told["unopened"] = trouble(await call("submit_program", {"idea": "early", **program(RIGHT)}))
        told["opened"] = answer(
            await call(
                "open_workload", {"path": "double.py", "target": "cpu", "out": "story"}, progress_callback=progress
            )
        )
        told["target"] = answer(await call("describe_target"))

        async def submit(idea, **arguments):
            return answer(await call("submit_program", {"idea": idea, **arguments}))

        told["build_failed"] = await submit("no semicolon", **program("v +"))
        told["wrong"] = await submit("no relu", **program("v * 2"))
        told["checked"] = answer(await call("check_program", program(RIGHT)))
        told["right"] = await submit("one pass", parent=told["wrong"]["program"], **program(RIGHT))
        told["again"] = await submit("one pass", **program(RIGHT))
        told["slower"] = await submit("the long way", parent=told["right"]["program"], **program(SLOW))
        told["profile"] = answer(await call("profile_program", {"parent": told["right"]["program"]}))

        # A search of an hour, cancelled as soon as it is at work.
        at_work = anyio.Event()

        async def working(done, total, message):
            at_work.set()

        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:

                async def search():
                    await call("run_expert", {"seconds": 3600}, progress_callback=working)

                group.start_soon(search)
                await at_work.wait()
                group.cancel_scope.cancel()
            told["listed"] = answer(await call("list_programs"))
        told["read"] = answer(await call("read_program", {"program": told["right"]["program"]}))

        told["written"] = answer(await call("write_artifact", progress_callback=progress))
        told["resources"] = [str(r.uri) for r in (await client.list_resources()).resources]
        uri = "kernelwright://artifacts/story/result.json"
        told["result"] = json.loads((await client.read_resource(uri)).contents[0].text)
        told["closed"] = trouble(await call("describe_workload"))
    return told


@pytest.fixture(scope="module")
def story(home):
    return anyio.run(tell_story, home)


def test_a_workload_opens_with_progress(story):
    assert story["unopened"] == "no workload is open: call open_workload first"
    region = story["opened"]["regions"][0]
    assert region["inputs"] == [{"index": 0, "type": "f32[64,512]"}]
    assert region["to_beat"]["ms"] > 0 and region["speed_of_light"]["ms"] > 0
    assert "torch.relu" in story["opened"]["pytorch_source"]
    assert {"import", "baseline", "promotion"} <= {message.split(":")[0] for _, message in story["progress"]}
    assert story["target"]["example"]["program"]["format"] == 1


def test_verdicts_name_the_first_thing_to_fix(story):
    failed, wrong = story["build_failed"], story["wrong"]
    assert failed["verdict"] == "build_failed" and "error" in failed["first_to_fix"]
    assert re.search(r":\d+:\d+: error", failed["first_to_fix"]), failed["first_to_fix"]
    assert wrong["verdict"] == "wrong" and "expected" in wrong["first_to_fix"], wrong
    assert wrong["best"] is None


def test_a_right_program_is_accepted_and_a_slower_one_is_not(story):
    assert story["checked"]["verdict"] == "right"
    right = story["right"]
    assert right["verdict"] == "accepted" and right["is_best"]
    assert right["timing"]["ms"] > 0 and right["timing"]["speedup_over_baseline"] > 0
    assert story["again"]["known"]
    slower = story["slower"]
    assert slower["verdict"] == "slower" and not slower["is_best"]
    low, high = slower["timing"]["against_best"]["interval_95"]
    assert low <= slower["timing"]["against_best"]["speedup"] <= high < 1
    assert slower["best"]["program"] == right["program"]
    assert story["profile"]["timing"]["gb_per_s"] > 0
    assert story["read"]["sources"] == program(RIGHT)["sources"]


def test_the_lineage_is_told_and_a_cancelled_search_keeps_what_it_found(story):
    listed = {p["program"]: p for p in story["listed"]["programs"]}
    for name in ("build_failed", "wrong", "right", "slower"):
        mine = listed[story[name]["program"]]
        assert mine["proposer"] == "mcp" and mine["verdict"] == story[name]["verdict"]
    assert listed[story["right"]["program"]]["parent"] == story["wrong"]["program"]
    assert listed[story["slower"]["program"]]["parent"] == story["right"]["program"]


def test_the_artifact_is_a_resource(story, home):
    # Whether it is faster is for the machine to say.
    assert story["written"]["status"] in ("improved", "baseline_kept")
    assert story["result"]["workload"] == "double"
    assert "kernelwright://artifacts/story/optimized.py" in story["resources"]
    assert (home / "runs" / "story" / "optimized.py").exists()
    assert not list((home / "runs").glob("*.partial"))
    assert story["closed"].startswith("no workload is open")


@pytest.mark.parametrize(
    ("mode", "version"), [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28"), ("auto", "2026-07-28")]
)
def test_both_eras_on_stdio(home, mode, version):
    async def talk():
        async with open_client(home, mode) as client:
            assert client.protocol_version == version
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert {"open_workload", "submit_program", "write_artifact", "read_playbook"} <= tools.keys()
            assert tools["submit_program"].input_schema["required"] == ["idea"]
            text = answer(await client.call_tool("read_playbook", {"name": "cpu"}))["text"]
            assert text.startswith("# Playbook: CPU")
            assert "unknown" in trouble(await client.call_tool("read_playbook", {"name": "cpu", "more": 1}))
            prompt = await client.get_prompt("optimize", {"path": "double.py"})
            assert "double.py" in prompt.messages[0].content.text
            with pytest.raises(mcp.MCPError):
                await client.call_tool("no_such_tool", {})
            with pytest.raises(mcp.MCPError):
                await client.read_resource("kernelwright://artifacts/../secret")

    anyio.run(talk)


def lines(home, *texts):
    """What the server says to these lines, until it ends with its input."""
    done = subprocess.run(
        [binary(), "mcp"],
        input="".join(text + "\n" for text in texts),
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_bad_lines_get_an_error_and_the_server_goes_on(home):
    ping = json.dumps({"jsonrpc": "2.0", "id": "end", "method": "ping"})
    said = lines(home, "{", "[]", "\x00\xff", "[" * 5000, '{"jsonrpc":"2.0","id":4}', "x" * (11 << 20), ping)
    assert [reply["error"]["code"] for reply in said[:-1]] == [-32700, -32600, -32700, -32700, -32600, -32700]
    assert said[-1] == {"jsonrpc": "2.0", "id": "end", "result": {}}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_handshake_version(home, version):
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    said = lines(home, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
    assert said[0]["result"]["protocolVersion"] == version


def test_files_outside_of_the_folder_are_not_opened(home, tmp_path):
    (tmp_path / "other.py").write_text(MODEL)

    async def talk():
        async with open_client(home) as client:
            for path in (str(tmp_path / "other.py"), "../x.py", "os:system", "double.py:a b", "missing.py"):
                assert trouble(await client.call_tool("open_workload", {"path": path}))

    anyio.run(talk)


TOKEN = "a-token-for-this-test"


@pytest.fixture
def http(home):
    process = subprocess.Popen(
        [binary(), "mcp", "--http", "127.0.0.1:0"],
        env=environment(home, KERNELWRIGHT_MCP_TOKEN=TOKEN),
        cwd=home,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    line = process.stderr.readline()
    assert "http://" in line, line  # set-up installs what the HTTP server needs
    yield re.search(r"http://\S+", line)[0]
    process.terminate()
    assert process.wait(timeout=30) == 0
    assert TOKEN not in process.stderr.read()


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
def test_both_eras_over_http(http, mode):
    async def talk():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as web:
            async with mcp.Client(streamable_http_client(http, http_client=web), mode=mode) as client:
                assert len((await client.list_tools()).tools) > 9
                assert answer(await client.call_tool("read_playbook", {"name": "cuda"}))["name"] == "cuda"
                assert "no workload" in trouble(await client.call_tool("describe_workload", {}))

    anyio.run(talk)


def test_http_asks_for_the_token_and_a_local_origin(http):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    good = {"Authorization": f"Bearer {TOKEN}"}

    def status(headers, method="POST", **more):
        return httpx2.request(method, http, headers=headers, **more).status_code

    assert status(good, json=ping) == 200
    assert status({}, json=ping) == 401
    assert status({"Authorization": "Bearer wrong"}, json=ping) == 401
    assert status({**good, "Origin": "http://localhost:1234"}, json=ping) == 200
    assert status({**good, "Origin": "http://example.com"}, json=ping) == 403
    assert status({**good, "Host": "example.com"}, json=ping) == 403
    assert status(good, "GET") == 405
    assert status(good, content="{") == 400
    assert status({**good, "Mcp-Session-Id": "unknown"}, json=ping) == 404


def test_http_is_for_this_machine_only(home):
    done = subprocess.run(
        [binary(), "mcp", "--http", "0.0.0.0:0"], env=environment(home), capture_output=True, text=True
    )
    assert done.returncode == 2 and "loopback" in done.stderr
