// SPDX-License-Identifier: Apache-2.0
#include "agent/tools.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/answers.h"
#include "agent/schema.h"
#include "agent/texts.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr size_t kLessonsKept = 500;

std::string text_at(const json& arguments, const char* key) {
  return arguments.contains(key) ? arguments[key].get<std::string>() : std::string();
}

Result<Workbench*> bench_of(const ToolContext& context, const json& arguments) {
  if (context.bench) return context.bench;
  if (!context.workshop) return fail(ErrorKind::kInternal, "tools without a workload");
  return context.workshop->find(text_at(arguments, "workload"));
}

Result<const RegionFacts*> region_of(const Workbench& bench, const json& arguments) {
  const auto& regions = bench.facts().regions;
  const std::string wanted = text_at(arguments, "region");
  std::string known;
  for (const auto& region : regions) {
    if (region.region.id == wanted || (wanted.empty() && regions.size() == 1)) return &region;
    known += (known.empty() ? "" : ", ") + region.region.id;
  }
  if (regions.empty())
    return fail(ErrorKind::kInput, "no part of this workload can be compiled: it stays in PyTorch");
  return fail(ErrorKind::kUsage, wanted.empty()
                                     ? "region: missing; the workload has " + known
                                     : fmt::format("region: '{}' is none of {}", wanted, known));
}

std::string no_param_text(const program::Program& program, const std::string& name) {
  std::string known;
  for (const auto& [one, value] : program.params) known += (known.empty() ? "" : ", ") + one;
  return known.empty()
             ? fmt::format("params: the program has none, so no '{}': give program and sources",
                           name)
             : fmt::format("params: the program has no '{}'; it has {}", name, known);
}

Result<program::Candidate> candidate_of(Workbench& bench, const json& arguments,
                                        const std::string& parent) {
  program::Candidate candidate;
  if (arguments.contains("program")) {
    auto parsed = program::parse_program(
        arguments["program"].dump(-1, ' ', false, json::error_handler_t::replace));
    // "program: buffers.h: missing key 'dtype'": places are those of the program.
    if (!parsed) return fail(ErrorKind::kUsage, fmt::format("program: {}", parsed.error().message));
    candidate.program = std::move(*parsed);
  } else if (!parent.empty()) {
    KW_TRY(candidate, bench.archive().load(parent));
  } else {
    return fail(ErrorKind::kUsage,
                "program: missing; give program and sources, or parent with what differs from it");
  }
  const std::string& file = candidate.program.source;
  if (arguments.contains("sources")) {
    const json& sources = arguments["sources"];
    if (sources.size() != 1 || !sources.contains(file))
      return fail(ErrorKind::kUsage,
                  fmt::format("sources: one entry is expected, '{}' as program.source says", file));
    candidate.source = sources[file].get<std::string>();
  } else if (arguments.contains("program")) {
    if (parent.empty())
      return fail(ErrorKind::kUsage,
                  fmt::format("sources: missing; give {{\"{}\": the source's text}}", file));
    KW_TRY(auto before, bench.archive().load(parent));
    candidate.source = std::move(before.source);
  }
  if (arguments.contains("params")) {
    for (const auto& [name, value] : arguments["params"].items()) {
      const auto it = candidate.program.params.find(name);
      if (it == candidate.program.params.end())
        return fail(ErrorKind::kUsage, no_param_text(candidate.program, name));
      it->second = value.get<int64_t>();
    }
  }
  return candidate;
}

struct Asked {
  Workbench* bench = nullptr;
  const RegionFacts* region = nullptr;
  program::Proposal proposal;
};

Result<Asked> asked(const ToolContext& context, const json& arguments) {
  Asked out;
  KW_TRY(out.bench, bench_of(context, arguments));
  KW_TRY(out.region, region_of(*out.bench, arguments));
  if (const std::string parent = text_at(arguments, "parent"); !parent.empty()) {
    KW_TRY(out.proposal.parent, out.bench->archive().resolve(parent));
  }
  KW_TRY(out.proposal.candidate, candidate_of(*out.bench, arguments, out.proposal.parent));
  out.proposal.proposer = context.proposer;
  // One line: it goes into tables and into other models' prompts.
  out.proposal.idea = text_at(arguments, "idea");
  std::replace_if(
      out.proposal.idea.begin(), out.proposal.idea.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return out;
}

Result<json> judge(const ToolContext& context, const json& arguments, Depth depth) {
  KW_TRY(Asked what, asked(context, arguments));
  const std::string& region = what.region->region.id;
  KW_TRY(const Judged judged, what.bench->judge(region, what.proposal, depth, context.call));
  return judged_answer(judged, *what.region, what.bench->best(region), depth == Depth::kSubmit);
}

Result<json> submit_program(const ToolContext& context, const json& arguments) {
  return judge(context, arguments, Depth::kSubmit);
}

Result<json> check_program(const ToolContext& context, const json& arguments) {
  return judge(context, arguments, Depth::kCheck);
}

Result<json> profile_program(const ToolContext& context, const json& arguments) {
  KW_TRY(Asked what, asked(context, arguments));
  KW_TRY(const Profile profile,
         what.bench->profile(what.region->region.id, what.proposal, context.call));
  return profile_answer(profile, *what.region, what.bench->facts().model);
}

Result<json> describe_workload(const ToolContext& context, const json& arguments) {
  KW_TRY(Workbench * bench, bench_of(context, arguments));
  json out = workload_answer(bench->facts(), *bench);
  if (const std::string handle = text_at(arguments, "workload"); !handle.empty())
    out["handle"] = handle;
  return out;
}

Result<json> describe_target(const ToolContext& context, const json& arguments) {
  KW_TRY(Workbench * bench, bench_of(context, arguments));
  return target_answer(bench->facts());
}

Result<json> read_program(const ToolContext& context, const json& arguments) {
  KW_TRY(Workbench * bench, bench_of(context, arguments));
  const std::string asked_id = text_at(arguments, "program");
  KW_TRY(const std::string id, bench->archive().resolve(asked_id));
  KW_TRY(const auto candidate, bench->archive().load(id));
  json out = program_answer(candidate, id);
  KW_TRY(const auto verdicts, bench->archive().verdicts_of_program(id));
  if (!verdicts.empty()) out["judged"] = listed_answer(verdicts.back());
  return out;
}

Result<json> list_programs(const ToolContext& context, const json& arguments) {
  KW_TRY(Workbench * bench, bench_of(context, arguments));
  KW_TRY(const RegionFacts* region, region_of(*bench, arguments));
  KW_TRY(const auto records, bench->archive().verdicts_of_subject(region->subject));
  const size_t limit = arguments.value("limit", size_t{20});
  json programs = json::array();
  std::set<std::string> seen;
  // The last verdict of each, newest first.
  for (auto it = records.rbegin(); it != records.rend(); ++it) {
    if (!seen.insert(it->program).second || programs.size() >= limit) continue;
    programs.push_back(listed_answer(*it));
  }
  json out = {{"region", region->region.id}, {"known", seen.size()}, {"programs", programs}};
  const auto best = bench->best(region->region.id);
  out["best"] = best ? json(best->id.substr(0, 16)) : json();
  return out;
}

Result<json> search_lessons(const ToolContext& context, const json& arguments) {
  KW_TRY(Workbench * bench, bench_of(context, arguments));
  const size_t limit = arguments.value("limit", size_t{8});
  KW_TRY(const auto lessons,
         bench->archive().lessons(text_at(arguments, "op"), static_cast<int>(kLessonsKept)));
  json list = json::array();
  for (const auto& lesson : lessons) {
    if (list.size() == limit) break;
    list.push_back({{"ops", lesson.ops},
                    {"target", lesson.target},
                    {"bottleneck", lesson.bottleneck},
                    {"change", lesson.change},
                    {"gain", lesson.gain},
                    {"program", lesson.program.substr(0, 16)}});
  }
  return json{{"lessons", std::move(list)}};
}

Result<json> read_playbook(const ToolContext&, const json& arguments) {
  const std::string name = text_at(arguments, "name");
  const std::string* text = find_text(name);
  if (!text) text = find_text("playbook/" + name);
  if (text) return json{{"name", name}, {"text", *text}};
  std::string known;
  for (const auto& one : playbook_names()) known += (known.empty() ? "" : ", ") + one;
  return fail(ErrorKind::kUsage, fmt::format("name: '{}' is none of {}", name, known));
}

Result<json> open_workload(const ToolContext& context, const json& arguments) {
  OpenRequest request;
  request.path = text_at(arguments, "path");
  for (const auto& [key, field] : std::map<const char*, std::string*>{{"inputs", &request.inputs},
                                                                      {"size", &request.size},
                                                                      {"target", &request.target},
                                                                      {"policy", &request.policy},
                                                                      {"out", &request.out}})
    *field = text_at(arguments, key);
  if (arguments.contains("init")) request.init = arguments["init"].dump();
  request.threads = arguments.value("threads", 0);
  request.resume = arguments.value("resume", false);
  KW_TRY(const std::string handle, context.workshop->open(request, context.call));
  KW_TRY(Workbench * bench, context.workshop->find(handle));
  json out = workload_answer(bench->facts(), *bench);
  out["handle"] = handle;
  out["next"] =
      "describe_target for the program format and an example; run_expert for a first best program; "
      "then submit_program, and write_artifact at the end";
  return out;
}

Result<json> run_expert(const ToolContext& context, const json& arguments) {
  KW_TRY(Workbench * bench, bench_of(context, arguments));
  KW_TRY(const RegionFacts* region, region_of(*bench, arguments));
  const std::string& id = region->region.id;
  KW_CHECK_OK(context.workshop->run_expert(text_at(arguments, "workload"), id,
                                           arguments.value("seconds", 20.0), context.call));
  json list = arguments;
  list["limit"] = 5;
  list["region"] = id;
  KW_TRY(json out, list_programs(context, list));
  const auto best = bench->best(id);
  if (best && best->ms > 0) {
    out["best_ms"] = best->ms;
    out["to_beat"] = {{"baseline", region->best_baseline}, {"ms", region->best_baseline_ms}};
    out["speed_of_light_ms"] = region->light.seconds * 1e3;
  }
  out["next"] = "read_program shows the best; profile_program says where its time goes";
  return out;
}

Result<json> write_artifact(const ToolContext& context, const json& arguments) {
  KW_TRY(const auto written,
         context.workshop->write_artifact(text_at(arguments, "workload"), context.call));
  const json result = json::parse(written.result_json, nullptr, false);
  json out = {{"folder", written.folder}, {"drop_in", written.folder + "/optimized.py"}};
  for (const char* key : {"status", "reason", "baseline", "best", "speed_of_light", "verdicts"})
    if (result.is_object() && result.contains(key)) out[key] = result[key];
  out["use"] = "optimized.py holds ModelNew, a drop-in for Model; report.html shows the run";
  if (out.value("status", "") != "improved")
    out["next"] =
        "reason says why. The workload is closed: open_workload with resume true goes on from what "
        "was found. A gain whose interval begins below the bound needs a quieter machine or a "
        "faster program";
  return out;
}

Result<json> close_workload(const ToolContext& context, const json& arguments) {
  KW_CHECK_OK(context.workshop->close(text_at(arguments, "workload")));
  return json{{"closed", true}};
}

// Pieces that several schemas share.
#define KW_WORKLOAD                                              \
  R"("workload":{"type":"string","maxLength":32,"description":)" \
  R"("handle from open_workload; may be left out when only one is open"})"
#define KW_REGION                                              \
  R"("region":{"type":"string","maxLength":64,"description":)" \
  R"("id from describe_workload; may be left out when there is only one"})"
#define KW_PROGRAM                                                                                 \
  R"("program":{"type":"object","description":"the content of program.json; see describe_target )" \
  R"(for an example. Left out: the parent's"},)"                                                   \
  R"("sources":{"type":"object","maxProperties":1,"additionalProperties":{"type":"string",)"       \
  R"("maxLength":4194304},"description":"the source text by its bare file name, as )"              \
  R"(program.source says: {\"kernels.cpp\": \"...\"}. Left out: the parent's"},)"                  \
  R"("params":{"type":"object","maxProperties":128,"additionalProperties":{"type":"integer",)"     \
  R"("minimum":-281474976710656,"maximum":281474976710656},)"                                      \
  R"("description":"new values for some of the program's params"},)"                               \
  R"("parent":{"type":"string","minLength":6,"maxLength":64,"description":)"                       \
  R"("id of the program this one was made from"})"
#define KW_IDEA                                                             \
  R"("idea":{"type":"string","minLength":1,"maxLength":200,"description":)" \
  R"("one line: what is new in it, for the lineage"})"
#define KW_CLOSED R"("additionalProperties":false)"

}  // namespace

const std::vector<Tool>& tool_table() {
  static const std::vector<Tool> table = {
      {"open_workload", "Open a workload",
       "Opens a PyTorch workload (a Python file with class Model, get_inputs(), get_init_inputs(); "
       "or file.py:Class with init and inputs) on a target: exports it, cuts it into regions, "
       "times "
       "eager and torch.compile. Takes from seconds to minutes. Returns a handle and the same as "
       "describe_workload. First step of every session.",
       R"({"type":"object","properties":{"path":{"type":"string","minLength":1,"maxLength":1024,)"
       R"("description":"file.py, file.py:Class or file.pt2, inside the server's folder"},)"
       R"("init":{"type":["array","object"],"description":"arguments of the class"},)"
       R"("inputs":{"type":"string","maxLength":1024,"description":"such as f32[8,3,224,224],i64[8]"},)"
       R"("target":{"type":"string","maxLength":16,"description":"cpu, cuda or cuda:N; left out: )"
       R"(cuda when a device answers, else cpu"},)"
       R"("policy":{"type":"string","enum":["strict","tf32","bf16","fp16"],"description":)"
       R"("numerics; left out: by dtype, strict for fp32"},)"
       R"("size":{"type":"string","enum":["cpu","gpu"]},)"
       R"("threads":{"type":"integer","minimum":1,"maximum":1024},)"
       R"("out":{"type":"string","minLength":1,"maxLength":80,"description":"bare name of the )"
       R"(artifact's folder below runs/; left out: name and time"},)"
       R"("resume":{"type":"boolean","description":"begin with what earlier sessions found"}},)"
       R"("required":["path"],)" KW_CLOSED "}",
       true, true, false, &open_workload},
      {"describe_workload", "What is to be made faster",
       "The regions of the open workload: graph, inputs, outputs and weights with shapes, work, "
       "speed of light, the baseline to beat, the best program so far; and the user's PyTorch "
       "source.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "}," KW_CLOSED "}", false, false, true,
       &describe_workload},
      {"describe_target", "What programs run on",
       "The device with its measured machine model, the program format for this target, the "
       "toolchain, flags and headers a program may use, and one complete example program. All that "
       "a first program needs: read it before writing one.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "}," KW_CLOSED "}", false, false, true,
       &describe_target},
      {"submit_program", "Build, check and time a program",
       "Has the referee judge a program: it is built and screened, verified against the module in "
       "fp64 on secret inputs, timed in alternation with the best so far, and recorded. Returns a "
       "verdict (build_failed, refused, crashed, timed_out, wrong, cheated, slower, accepted) with "
       "the first thing to fix, or the timing with its interval and share of the speed of light. "
       "Times drift with the machine: timing.ms is the best's time over the paired speedup, reason "
       "has both as measured. Give program and sources; or parent with only what differs (params, "
       "sources). The same program again gets the same verdict.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "," KW_REGION "," KW_PROGRAM "," KW_IDEA
       R"(},"required":["idea"],)" KW_CLOSED "}",
       false, true, false, &submit_program},
      {"check_program", "Build and check a program",
       "As submit_program, but only builds and verifies: quicker, without a comparison, and "
       "nothing is recorded. For getting a program right.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "," KW_REGION "," KW_PROGRAM "," KW_IDEA
       "}," KW_CLOSED "}",
       false, true, true, &check_program},
      {"profile_program", "Where a program's time goes",
       "Times a right program on its own, step by step as well, and sets it beside the roofline: "
       "bytes and FLOP per second reached, times the least that the machine needs, registers and "
       "spills of its kernels on a GPU, compiler warnings. Give parent alone to profile a known "
       "program.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "," KW_REGION "," KW_PROGRAM "," KW_IDEA
       "}," KW_CLOSED "}",
       false, true, true, &profile_program},
      {"read_program", "A program's text",
       "program.json and source of a program by its id (from list_programs, a verdict or a "
       "lesson), "
       "with its last verdict. Any proposer's: the built-in expert's as well.",
       R"({"type":"object","properties":{)" KW_WORKLOAD
       R"(,"program":{"type":"string","minLength":6,"maxLength":64,"description":"id or its )"
       R"(beginning"}},"required":["program"],)" KW_CLOSED "}",
       false, false, true, &read_program},
      {"list_programs", "What was tried",
       "Programs judged for a region, newest first: verdict, idea, lineage, time or why it failed. "
       "Look here before repeating an idea.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "," KW_REGION
       R"(,"limit":{"type":"integer","minimum":1,"maximum":100}},)" KW_CLOSED "}",
       false, false, true, &list_programs},
      {"search_lessons", "What paid off before",
       "Notes on changes that made programs faster: ops, target, bottleneck, the change, its gain, "
       "and the program to read.",
       R"({"type":"object","properties":{)" KW_WORKLOAD
       R"(,"op":{"type":"string","maxLength":80,"description":"part of an op's name, such as )"
       R"(softmax; left out: all"},"limit":{"type":"integer","minimum":1,"maximum":50}},)" KW_CLOSED
       "}",
       false, false, true, &search_lessons},
      {"read_playbook", "What pays on a target",
       "Texts: 'cpu' and 'cuda' say what makes programs fast there and why, 'program-format' every "
       "rule of program.json; and the device headers that kernels may include, by name.",
       R"({"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":64,)"
       R"("description":"cpu, cuda, program-format, or a header such as cuda/kw_mma.h"}},)"
       R"("required":["name"],)" KW_CLOSED "}",
       false, false, true, &read_playbook},
      {"run_expert", "Let the built-in search work",
       "Lets kernelwright's own search propose and time programs for a region for some seconds. "
       "Needs no model; its best is a good program to start from. Ends at once when cancelled, and "
       "keeps what it found.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "," KW_REGION
       R"(,"seconds":{"type":"number","minimum":1,"maximum":3600,"description":"default 20"}},)" KW_CLOSED
       "}",
       true, true, false, &run_expert},
      {"write_artifact", "Write the drop-in",
       "Promotes the best program of every region (clean rebuild, new secret inputs, all "
       "baselines), "
       "writes the drop-in module with its report, and has it checked against the original in one "
       "process. Takes up to a minute or two. When nothing is faster with confidence, the baseline "
       "is kept and the reason given. Last step: closes the workload.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "}," KW_CLOSED "}", true, true, false,
       &write_artifact},
      {"close_workload", "Close without an artifact",
       "Ends the processes of an open workload and writes no artifact. What was recorded stays in "
       "the archive; open_workload with resume goes on from it.",
       R"({"type":"object","properties":{)" KW_WORKLOAD "}," KW_CLOSED "}", true, false, false,
       &close_workload},
  };
  return table;
}

const Tool* find_tool(std::string_view name) {
  for (const auto& tool : tool_table())
    if (name == tool.name) return &tool;
  return nullptr;
}

Result<json> call_tool(const ToolContext& context, std::string_view name, const json& arguments) {
  const Tool* tool = find_tool(name);
  if (!tool || (tool->session && !context.workshop))
    return fail(ErrorKind::kUsage, fmt::format("there is no tool '{}'", name.substr(0, 60)));
  try {
    const json none = json::object();
    const json& given = arguments.is_null() ? none : arguments;
    KW_CHECK_OK(check_schema(json::parse(tool->schema), given));
    return tool->run(context, given);
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInternal, fmt::format("{}: {}", tool->name, e.what()));
  }
}

Result<json> call_tool_text(const ToolContext& context, std::string_view name,
                            std::string_view arguments) {
  KW_TRY(const json parsed,
         parse_json(arguments.empty() ? "{}" : arguments, kMaxArgumentBytes, kMaxArgumentDepth));
  return call_tool(context, name, parsed);
}

}  // namespace kernelwright::agent
