// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "report/html.h"
#include "report/svg.h"
#include "report/table.h"

namespace kernelwright::report {
namespace {

nlohmann::json sample() {
  return nlohmann::json::parse(R"({
    "workload": "<script>alert(1)</script>", "target": "cpu", "device": "a CPU", "policy": "strict", "threads": 2,
    "status": "improved", "reason": "", "coverage": 1.0, "library_share": 0, "tried": 12, "search_s": 20, "elapsed_s": 50,
    "artifact": "runs/x", "versions": {"torch": "2.13.0"}, "verdicts": {"accepted": 3, "slower": 9}, "eager": [],
    "baseline": {"eager_ms": 4, "compile_ms": 3, "best_ms": 3, "best_name": "compile", "notes": []},
    "best": {"ms": 1.5, "speedup": 2.0, "speedup_low": 1.9, "speedup_high": 2.1, "program": "abc"},
    "error": {"candidate": {"rho_rms": 1.5, "rho_max": 6, "relative": 1e-7}, "eager": {"rho_rms": 1, "rho_max": 5, "relative": 1e-7}},
    "speed_of_light": {"ms": 1.2, "fraction": 0.8, "bound": "memory"}, "final": {"fresh": {"original_ms": 5, "dropin_ms": 2.5, "speedup": 2, "fault_share": 0.2}, "memory": {"read_bytes": 64, "written_bytes": 64, "ms": 1.35, "share": 0.9}},
    "regions": [{"id": "r0", "nodes": ["relu"], "accepted": true, "eager_ms": 4, "speed_of_light_ms": 1.2, "bound": "memory",
                 "search": {"tried": 12, "elapsed_s": 20, "stop_reason": "budget",
                            "curve": [{"elapsed_s": 1, "ms": 2, "program": "p", "idea": "vectors of 16"}, {"elapsed_s": 5, "ms": 1.5, "program": "q", "idea": "unroll"}],
                            "predicted_measured_s": [[0.001, 0.002], [0.002, 0.003]]}}]})");
}

TEST(ResultTable, SaysTimesErrorsShareAndPlace) {
  const std::string table = result_table(sample());
  for (const char* expected :
       {"PyTorch eager", "4.00 ms", "torch.compile", "kernelwright", "1.50 ms", "2.00x",
        "1.90 – 2.10", "80 %", "runs/x", "100 % of eager time", "12 programs",
        "5.00 ms, of which 20 % page faults", "1.35 ms for the same bytes", "90 % of the time"})
    EXPECT_NE(table.find(expected), std::string::npos) << expected << "\n" << table;
}

TEST(ResultTable, ShortTimesKeepTheirDigits) {
  EXPECT_EQ(ms_text(0.00034), "0.34 µs");
  EXPECT_EQ(ms_text(0.088), "0.088 ms");
  EXPECT_EQ(ms_text(0), "0.000 ms");
  EXPECT_EQ(ms_text(1), "1.00 ms");
  EXPECT_EQ(ms_text(28), "28.0 ms");
  EXPECT_EQ(ms_text(99.97), "100 ms");
  EXPECT_EQ(ms_text(999.7), "1.00 s");
  EXPECT_EQ(ms_text(123456), "123 s");
}

TEST(ResultTable, SaysWhyTheBaselineWasKept) {
  auto kept = sample();
  kept["best"] = nullptr;
  kept["status"] = "baseline_kept";
  kept["reason"] = "nothing was faster";
  const std::string table = result_table(kept);
  EXPECT_NE(table.find("baseline_kept: nothing was faster"), std::string::npos) << table;
}

TEST(ReportHtml, IsOneOfflinePageWithEverythingEscaped) {
  auto result = sample();
  ReportInput input;
  input.result = &result;
  input.sources.push_back({"r0", "{}", "if (a < b && c > d) \"</pre><script>\""});
  input.verdict_lines.push_back(
      R"({"idea":"<b>x</b>","verdict":{"verdict":"wrong","reason":"<img src=x onerror=y>"}})");
  input.verdict_lines.push_back("not json");
  const std::string page = report_html(input);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_NE(page.find("a &lt; b"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme:dark"), std::string::npos);
  EXPECT_NE(page.find("vectors of 16"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;x"), std::string::npos);
}

TEST(ReportHtml, NamesTheRewritesUsedAndWhere) {
  auto result = sample();
  ReportInput input;
  input.result = &result;
  EXPECT_EQ(report_html(input).find("Rewrites used"), std::string::npos);
  result["regions"][0]["rewrites"] = nlohmann::json::parse(
      R"([{"rule":"sums exchanged","where":"mean<b>"},{"rule":"sums exchanged","where":"sum_2"}])");
  const std::string page = report_html(input);
  EXPECT_NE(page.find("Rewrites used"), std::string::npos);
  EXPECT_NE(page.find("<td>sums exchanged</td><td><code>mean&lt;b&gt;</code>, <code>sum_2</code>"),
            std::string::npos);
}

TEST(ReportHtml, ConversationsStandOnATimelineWithTheirVerdicts) {
  auto result = sample();
  ReportInput input;
  input.result = &result;
  EXPECT_EQ(report_html(input).find("Conversations with models"), std::string::npos);
  input.conversation_lines = {
      R"({"id":"r0/1-fuse","role":"synthesizer","region":"r0","idea":"fuse","model":"<b>m</b>","start_s":0,"end_s":4,)"
      R"("replies":3,"replayed":1,"usage":{"input":1000,"output":500},"cost_usd":0.25,"ended":"the model is done",)"
      R"("calls":[{"tool":"submit_program","said":"wrong: off by one <img>","program":"abc","at_s":1,"seconds":0.5},)"
      R"({"tool":"submit_program","said":"accepted: first","program":"def","at_s":3,"seconds":0.5}, 7]})",
      R"({"id":"r0/1-fuse/analyst-1","role":"analyst","region":"r0","said":"<script>use float4</script>","usage":{"input":"x"}})",
      "not json", "[]", R"({"role":3,"region":[],"calls":{},"start_s":1e999})"};
  const std::string page = report_html(input);
  for (const char* expected :
       {"2 conversations, 1.5k tokens, $0.2500", "r0/1-fuse/analyst-1", "1 from a transcript",
        "accepted: first", "wrong: off by one &lt;img&gt;", "&lt;script&gt;use float4",
        "&lt;b&gt;m", "var(--good)"})
    EXPECT_NE(page.find(expected), std::string::npos) << expected;
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
}

TEST(ReportHtml, AFolderThatIsNoRunIsInput) {
  auto dir = base::TempDir::create("kw-report");
  ASSERT_TRUE(dir);
  EXPECT_FALSE(write_report(dir->path()));
  ASSERT_TRUE(base::write_file_atomic(dir->path() / "result.json", "[1,2]"));
  EXPECT_EQ(write_report(dir->path()).error().kind, ErrorKind::kInput);
  ASSERT_TRUE(
      base::write_file_atomic(dir->path() / "result.json", R"({"baseline":3,"regions":[{}]})"));
  EXPECT_EQ(write_report(dir->path()).error().kind, ErrorKind::kInput);
  EXPECT_FALSE(std::filesystem::exists(dir->path() / "report.html"));
}

TEST(Svg, ANarrowLogarithmicAxisHasTicks) {
  Chart chart{"t", "x", "y", true, true, {}, {}};
  chart.series.push_back({"dots", {{0.41, 0.61}, {0.41, 0.66}}, false, {}});
  const std::string text = svg(chart);
  EXPECT_NE(text.find(">0.4<"), std::string::npos) << text;
  EXPECT_NE(text.find(">0.6<"), std::string::npos) << text;
}

TEST(Svg, DrawsNothingFromNothing) {
  EXPECT_EQ(svg({"t", "x", "y", true, true, {{"dots", {}, false, {}}}, {}}), "");
  const auto drawn =
      svg({"t", "x", "y", false, false, {{"line", {{0, 1}, {1, 2}}, true, {}}}, {{1.5, "eager"}}});
  EXPECT_NE(drawn.find("<path"), std::string::npos);
  EXPECT_EQ(drawn.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace kernelwright::report
