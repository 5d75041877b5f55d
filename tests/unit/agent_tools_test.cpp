// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "agent/schema.h"
#include "agent/texts.h"
#include "agent/tools.h"
#include "support/fake_workshop.h"
#include "target/cpu/toolchain.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

class ToolsTest : public ::testing::Test {
 protected:
  ToolsTest() { context.workshop = &workshop; }
  json call(const char* name, const json& arguments) {
    auto result = call_tool(context, name, arguments);
    return result ? *result : json{{"error", result.error().text()}};
  }
  void open() { ASSERT_EQ(call("open_workload", {{"path", "relu.py"}}).value("handle", ""), "w1"); }
  test::FakeWorkshop workshop;
  ToolContext context;
};

TEST(Tools, EveryRowIsComplete) {
  std::set<std::string> names;
  for (const auto& tool : tool_table()) {
    EXPECT_TRUE(names.insert(tool.name).second) << tool.name;
    EXPECT_GT(std::string(tool.description).size(), 40u) << tool.name;
    const json schema = json::parse(tool.schema, nullptr, false);
    ASSERT_TRUE(schema.is_object()) << tool.name;
    EXPECT_EQ(schema["type"], "object") << tool.name;
    EXPECT_EQ(schema["additionalProperties"], false) << tool.name;
    for (const auto& [key, property] : schema["properties"].items()) {
      // Everything from outside is bounded.
      const json type = property.value("type", json());
      if (type == "string") {
        EXPECT_TRUE(property.contains("maxLength") || property.contains("enum"))
            << tool.name << "." << key;
      } else if (type == "integer" || type == "number") {
        EXPECT_TRUE(property.contains("maximum")) << tool.name << "." << key;
      }
    }
    for (const auto& required : schema.value("required", json::array()))
      EXPECT_TRUE(schema["properties"].contains(required.get<std::string>())) << tool.name;
  }
}

TEST(Schema, SaysWhereAndWhatWasExpected) {
  const json schema = json::parse(R"({"type":"object","properties":{
    "n":{"type":"integer","minimum":1,"maximum":9},"s":{"type":"string","maxLength":3},
    "e":{"type":"string","enum":["a","b"]},"l":{"type":"array","maxItems":1,"items":{"type":"number"}},
    "o":{"type":"object","maxProperties":1,"additionalProperties":{"type":"integer"}}},
    "required":["n"],"additionalProperties":false})");
  const auto said = [&](const char* text) {
    const auto ok = check_schema(schema, json::parse(text));
    return ok ? std::string("fine") : ok.error().text();
  };
  EXPECT_EQ(said(R"({"n":1,"s":"abc","e":"a","l":[1.5],"o":{"x":1}})"), "fine");
  EXPECT_EQ(said(R"({})"), "n: missing");
  EXPECT_EQ(said(R"({"n":"1"})"), "n: expected integer, got string");
  EXPECT_EQ(said(R"({"n":10})"), "n: 10 is not within 1 and 9");
  EXPECT_EQ(said(R"({"n":1,"s":"abcd"})"), "s: 4 bytes; at most 3");
  EXPECT_EQ(said(R"({"n":1,"e":"c"})"), R"(e: "c" is none of ["a","b"])");
  EXPECT_EQ(said(R"({"n":1,"l":["x"]})"), "l[0]: expected number, got string");
  EXPECT_EQ(said(R"({"n":1,"l":[1,2]})"), "l: more than 1 items");
  EXPECT_EQ(said(R"({"n":1,"o":{"x":1,"y":2}})"), "o: more than 1 entries");
  EXPECT_EQ(said(R"({"n":1,"z":1})"), "z: unknown; known are: e, l, n, o, s");
  EXPECT_EQ(said("[]"), "arguments: expected object, got array");
}

RC_GTEST_PROP(Tools, NothingBreaksTheArguments, (const std::string& noise)) {
  test::FakeWorkshop workshop;
  ToolContext context;
  context.workshop = &workshop;
  for (const auto& tool : tool_table()) {
    (void)call_tool_text(context, tool.name, noise);
    (void)call_tool_text(context, tool.name, R"({"workload":)" + noise + "}");
  }
}

TEST_F(ToolsTest, BoundsAndUnknownNames) {
  EXPECT_EQ(call("no_such_tool", {})["error"], "there is no tool 'no_such_tool'");
  EXPECT_FALSE(call_tool_text(context, "read_playbook", std::string(kMaxArgumentBytes + 1, ' ')));
  EXPECT_FALSE(call_tool_text(
      context, "read_playbook",
      std::string(kMaxArgumentDepth + 1, '[') + std::string(kMaxArgumentDepth + 1, ']')));
  // Within a run there is no session to open.
  ToolContext run;
  EXPECT_FALSE(call_tool(run, "open_workload", {{"path", "x.py"}}));
}

TEST_F(ToolsTest, AWorkloadComesFirst) {
  EXPECT_EQ(call("describe_workload", {})["error"], "no workload is open");
  open();
  const json told = call("describe_workload", {});
  EXPECT_EQ(told["regions"][0]["region"], "r0");
  EXPECT_EQ(told["regions"][0]["to_beat"]["baseline"], "eager");
  EXPECT_TRUE(told["regions"][0]["best"].is_null());
  EXPECT_EQ(call("submit_program", {{"idea", "x"}, {"region", "r9"}})["error"],
            "region: 'r9' is none of r0");
}

TEST_F(ToolsTest, TheExampleOfTheTargetIsAProgramThatParses) {
  open();
  const json told = call("describe_target", {});
  const auto program = program::parse_program(told["example"]["program"].dump());
  ASSERT_TRUE(program) << program.error().text();
  EXPECT_TRUE(told["example"]["sources"].contains(program->source));
  EXPECT_FALSE(told["flags_allowed"].empty());
  EXPECT_TRUE(find_text("cpu/kernelwright/kernel_abi.h"));
  // The rules stand beside it: what may be included, and what else a first program needs.
  const std::string rules = told["program_format"];
  for (const auto& header : target::allowed_headers())
    EXPECT_NE(rules.find(header), std::string::npos) << header;
  for (const char* word : {"scratch_bytes", "describe_workload", "\"out\"", "-march=native"})
    EXPECT_NE(rules.find(word), std::string::npos) << word;
}

TEST_F(ToolsTest, ASubmissionIsAProgramAndOneSourceByItsBareName) {
  open();
  const json program = test::small_program();
  const json source = {{"kernels.cpp", "text"}};
  EXPECT_EQ(call("submit_program", {{"program", program}, {"sources", source}})["error"],
            "idea: missing");
  EXPECT_EQ(call("submit_program", {{"idea", "i"}, {"program", program}})["error"],
            "sources: missing; give {\"kernels.cpp\": the source's text}");
  EXPECT_EQ(call("submit_program", {{"idea", "i"},
                                    {"program", program},
                                    {"sources", {{"../kernels.cpp", "text"}}}})["error"],
            "sources: one entry is expected, 'kernels.cpp' as program.source says");
  json escape = program;
  escape["source"] = "../../etc/passwd";
  const std::string refused =
      call("submit_program",
           {{"idea", "i"}, {"program", escape}, {"sources", {{"../../etc/passwd", ""}}}})
          .value("error", "");
  EXPECT_NE(refused.find("source"), std::string::npos) << refused;
  EXPECT_TRUE(workshop.bench->submitted.empty());

  const json verdict =
      call("submit_program", {{"idea", "one\nline"}, {"program", program}, {"sources", source}});
  EXPECT_EQ(verdict["verdict"], "accepted") << verdict.dump();
  EXPECT_EQ(verdict["is_best"], true);
  ASSERT_EQ(workshop.bench->submitted.size(), 1u);
  EXPECT_EQ(workshop.bench->submitted[0].proposer, "mcp");
  EXPECT_EQ(workshop.bench->submitted[0].idea, "one line");
  EXPECT_EQ(workshop.bench->submitted[0].candidate.source, "text");
}

TEST_F(ToolsTest, AVerdictPointsAtTheFirstThingToFix) {
  open();
  auto& verdict = workshop.bench->next;
  verdict.kind = referee::VerdictKind::kWrong;
  verdict.reason = "output 0 [3, 4]: expected 1, got 2";
  verdict.detail = std::string(10000, 'x');
  const json told = call("check_program", {{"program", test::small_program()},
                                           {"sources", {{"kernels.cpp", "text"}}}});
  EXPECT_EQ(told["verdict"], "wrong");
  EXPECT_EQ(told["first_to_fix"], verdict.reason);
  EXPECT_LT(told["detail"].get<std::string>().size(), 2000u);
  EXPECT_FALSE(told.contains("timing"));
}

// What a coding agent stumbled over (docs/coding-agent-trial.md).
TEST_F(ToolsTest, AMalformedProgramIsToldWhatWouldDo) {
  open();
  const json program = test::small_program();
  const auto said = [&](const char* pointer, const json& value) {
    json changed = program;
    changed[json::json_pointer(pointer)] = value;
    return call("check_program", {{"program", changed}, {"sources", {{"kernels.cpp", ""}}}})
        .value("error", "");
  };
  EXPECT_EQ(said("/buffers/x/role", "in"),
            "program: buffers.x.role: unknown role 'in' (input, weight, output, packed, scratch, "
            "sync, state, table)");
  EXPECT_EQ(said("/run/0/grid", 64),
            "program: run[0].grid: expected a list of sizes such as [64] or [\"N\"], got number");
  EXPECT_EQ(said("/run/0/args/0", 64),
            "program: run[0].args[0]: an argument is a buffer name or an object; a number is "
            "{\"i32\": 4} or {\"f32\": 0.5}");
  json bare = program;
  bare.erase("format");
  EXPECT_EQ(call("check_program", {{"program", bare}, {"sources", {{"kernels.cpp", ""}}}})["error"],
            "program: missing key 'format'");
  bare = program;
  bare.erase("params");
  const json first = call("submit_program",
                          {{"idea", "i"}, {"program", bare}, {"sources", {{"kernels.cpp", ""}}}});
  EXPECT_EQ(call("submit_program",
                 {{"idea", "x"}, {"parent", first["program"]}, {"params", {{"TILE", 1}}}})["error"],
            "params: the program has none, so no 'TILE': give program and sources");
  // An argument by another name is the first thing to say, and a submission checks as it is.
  EXPECT_EQ(call("open_workload", {{"file", "relu.py"}})["error"].get<std::string>().rfind(
                "file: unknown; known are: init, inputs, out, path", 0),
            0u);
  EXPECT_EQ(
      call("check_program",
           {{"idea", "i"}, {"program", program}, {"sources", {{"kernels.cpp", ""}}}})["verdict"],
      "right");
}

TEST_F(ToolsTest, AWrongAnswerIsRoundingOrSomethingElse) {
  open();
  auto& verdict = workshop.bench->next;
  verdict.kind = referee::VerdictKind::kWrong;
  const auto next = [&](const std::string& reason) {
    verdict.reason = reason;
    return call("check_program",
                {{"program", test::small_program()}, {"sources", {{"kernels.cpp", "text"}}}})
        .value("next", "");
  };
  EXPECT_NE(next("output 0 on the own draw: precision: at [3]").find("fp32 sum"),
            std::string::npos);
  EXPECT_NE(next("output 0 on the own draw: at [3]").find("never written"), std::string::npos);
}

TEST_F(ToolsTest, AnUnsettledComparisonSaysSo) {
  open();
  auto& verdict = workshop.bench->next;
  verdict.kind = referee::VerdictKind::kSlower;
  verdict.reason = "3 ms against 6 ms of abc: 1.77 times as fast (0.759 to 5.92)";
  verdict.timing->reference = "abc";
  verdict.timing->speedup = 1.77;
  verdict.timing->speedup_low = 0.759;
  verdict.timing->speedup_high = 5.92;
  const json arguments = {
      {"idea", "i"}, {"program", test::small_program()}, {"sources", {{"kernels.cpp", "text"}}}};
  const std::string next = call("submit_program", arguments)["next"];
  EXPECT_NE(next.find("the interval holds 1"), std::string::npos) << next;
  EXPECT_EQ(call("list_programs", json::object())["programs"][0]["interval_95"],
            json({0.759, 5.92}));
  verdict.timing->speedup_high = 0.9;
  const std::string slower = call("submit_program", arguments)["next"];
  EXPECT_EQ(slower.find("the interval holds 1"), std::string::npos) << slower;
}

TEST_F(ToolsTest, ADetailThatOnlyRepeatsTheReasonIsLeftOut) {
  open();
  auto& verdict = workshop.bench->next;
  verdict.kind = referee::VerdictKind::kBuildFailed;
  verdict.reason = "kernel 'f' is not defined";
  verdict.detail = verdict.reason + "\n";
  const json told = call("check_program", {{"program", test::small_program()},
                                           {"sources", {{"kernels.cpp", "text"}}}});
  EXPECT_FALSE(told.contains("detail")) << told.dump();
}

TEST_F(ToolsTest, AKeptBaselineSaysHowToGoOn) {
  open();
  EXPECT_FALSE(call("write_artifact", json::object()).contains("next"));
  workshop.result = R"({"status":"baseline_kept","reason":"r0: not faster"})";
  const std::string next = call("write_artifact", json::object())["next"];
  EXPECT_NE(next.find("resume"), std::string::npos) << next;
}

TEST_F(ToolsTest, AChildNeedsOnlyWhatDiffers) {
  open();
  const json first = call("submit_program", {{"idea", "first"},
                                             {"program", test::small_program()},
                                             {"sources", {{"kernels.cpp", "text"}}}});
  const std::string parent = first["program"];
  const json second =
      call("submit_program", {{"idea", "wider"}, {"parent", parent}, {"params", {{"TILE", 64}}}});
  EXPECT_EQ(second["verdict"], "accepted") << second.dump();
  const auto& child = workshop.bench->submitted.at(1);
  EXPECT_EQ(child.candidate.program.params.at("TILE"), 64);
  EXPECT_EQ(child.candidate.source, "text");
  EXPECT_EQ(child.parent.substr(0, parent.size()), parent);
  EXPECT_EQ(call("submit_program",
                 {{"idea", "x"}, {"parent", parent}, {"params", {{"NONE", 1}}}})["error"],
            "params: the program has no 'NONE'; it has TILE");
  const json read = call("read_program", {{"program", parent}});
  EXPECT_EQ(read["sources"]["kernels.cpp"], "text");
  EXPECT_EQ(read["program"]["params"]["TILE"], 32);
  const json list = call("list_programs", {{"limit", 1}});
  EXPECT_EQ(list["known"], 2);
  ASSERT_EQ(list["programs"].size(), 1u);
  EXPECT_EQ(list["programs"][0]["idea"], "wider");
  EXPECT_EQ(list["programs"][0]["parent"], parent);
}

TEST_F(ToolsTest, ThePlaybooksAreEmbedded) {
  for (const char* name : {"cpu", "cuda", "program-format", "cuda/kw_mma.h", "cpu/kw_math.h"}) {
    const json text = call("read_playbook", {{"name", name}});
    EXPECT_GT(text.value("text", "").size(), 500u) << name << text.dump().substr(0, 200);
  }
  EXPECT_NE(
      call("read_playbook", {{"name", "../x"}})["error"].get<std::string>().find("none of cpu"),
      std::string::npos);
}

}  // namespace
}  // namespace kernelwright::agent
