// SPDX-License-Identifier: Apache-2.0
// What makes a page of a run's files: nothing in them becomes markup.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fuzz/targets.h"
#include "report/highlight.h"
#include "report/html.h"
#include "report/markup.h"

namespace kernelwright::fuzz {
namespace {

// The page less the tags of <span>.
std::string without_spans(std::string html) {
  for (size_t at = html.find("<span class=\""); at != std::string::npos;
       at = html.find("<span class=\"", at))
    html.erase(at, html.find('>', at) + 1 - at);
  for (size_t at = html.find("</span>"); at != std::string::npos; at = html.find("</span>", at))
    html.erase(at, 7);
  return html;
}

void read_source(std::string_view text) {
  require(without_spans(report::highlighted(text)) == report::escape_html(text),
          "colours change nothing of a source");
}

std::vector<std::string> sources() {
  return {
      "#include <a.h>\n#define A(x) \\\n  x // b\n__global__ void f(const float4* p) { /* c */ }\n",
      "auto s = R\"x(<b>)x\" u8\"y\\\"\"; char c = '\\''; double d = 1'000.5e-3 + 0x1p+2;\n"};
}

// The first line is result.json, the others are lines of verdicts and of conversations.
void read_run(std::string_view text) {
  const size_t end = std::min(text.find('\n'), text.size());
  nlohmann::json result = nlohmann::json::parse(text.substr(0, end), nullptr, false);
  report::ReportInput input;
  input.result = &result;
  for (size_t at = end; at < text.size();) {
    const size_t next = std::min(text.find('\n', at + 1), text.size());
    input.verdict_lines.emplace_back(text.substr(at + 1, next - at - 1));
    at = next;
  }
  input.conversation_lines = input.verdict_lines;
  const std::string page = report::report_html(input);
  for (const char* tag : {"<script", "<img"})
    require(page.find(tag) == std::string::npos, "nothing of a run becomes a tag");
}

std::vector<std::string> runs() {
  return {
      R"({"workload":"w","baseline":{"best_ms":3},"best":{"ms":2,"speedup":1.5},"regions":[{"id":"r0",)"
      R"("accepted":true,"program_id":"b","eager_ms":4,"work":{"other_flops":1e6,"bytes":1e6},)"
      R"("ceilings":{"bytes_per_s":1e10,"flops_per_s":1e11},"promotion":{"timing":{"ms":2,"speedup":2}},)"
      R"("search":{"curve":[{"ms":2,"elapsed_s":1,"idea":"<script>"}]}}]})"
      "\n"
      R"({"program":"a","region":"r0","idea":"<script>","schedule":{"x":1},"verdict":{"verdict":"accepted"}})"
      "\n"
      R"({"program":"b","region":"r0","parent":"a","schedule":{"x":2},"verdict":{"verdict":"wrong","reason":"<"}})"
      "\n"
      R"({"id":"r0/1","role":"analyst","region":"r0","calls":[{"tool":"t","said":"wrong: x","at_s":1}]})"};
}

}  // namespace

std::vector<Target> report_targets() {
  return {{"source", read_source, sources}, {"run", read_run, runs}};
}

}  // namespace kernelwright::fuzz
