// SPDX-License-Identifier: Apache-2.0
// Parts of the report: sources in colours, lineage, roofline, refusals, intervals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report/highlight.h"
#include "report/intervals.h"
#include "report/lineage.h"
#include "report/markup.h"
#include "report/refusals.h"
#include "report/roofline.h"

namespace kernelwright::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What a browser shows of a piece of HTML: without tags, with entities resolved.
std::string shown(std::string html) {
  std::string out;
  bool tag = false;
  for (char c : html) {
    if (c == '<') tag = true;
    if (!tag) out += c;
    if (c == '>') tag = false;
  }
  for (const auto& [entity, character] : std::vector<std::pair<std::string, std::string>>{
           {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    for (size_t at = out.find(entity); at != std::string::npos; at = out.find(entity, at + 1))
      out.replace(at, entity.size(), character);
  return out;
}

TEST(Highlight, TokensOfCppAndCuda) {
  EXPECT_EQ(highlighted("const float4 x = f(1.5e-3f); // <b>"),
            "<span class=\"k\">const</span> <span class=\"t\">float4</span> x = <span "
            "class=\"f\">f</span>(<span class=\"n\">1.5e-3f</span>); <span class=\"c\">// "
            "&lt;b&gt;</span>");
  EXPECT_EQ(highlighted("__shared__ int64_t n[threadIdx.x];"),
            "<span class=\"b\">__shared__</span> <span class=\"t\">int64_t</span> n[<span "
            "class=\"b\">threadIdx</span>.x];");
  EXPECT_EQ(highlighted("#include <a>\nx#y"), "<span class=\"p\">#include &lt;a&gt;</span>\nx#y");
  EXPECT_EQ(highlighted("  #define A \\\n 1 // c\n2"),
            "  <span class=\"p\">#define A \\\n 1 </span><span class=\"c\">// c</span>\n<span "
            "class=\"n\">2</span>");
  EXPECT_EQ(highlighted("1'000'000u + 0x1.8p+3"),
            "<span class=\"n\">1&#39;000&#39;000u</span> + <span class=\"n\">0x1.8p+3</span>");
}

TEST(Highlight, StringsEndWhereTheyEnd) {
  EXPECT_EQ(highlighted(R"(s = "a\"//b"; c = '\'')"),
            "s = <span class=\"s\">&quot;a\\&quot;//b&quot;</span>; c = <span "
            "class=\"s\">&#39;\\&#39;&#39;</span>");
  EXPECT_EQ(highlighted("R\"x(\n\")y)x\" + 1"),
            "<span class=\"s\">R&quot;x(\n&quot;)y)x&quot;</span> + <span class=\"n\">1</span>");
  EXPECT_EQ(highlighted("\"open\nint"),
            "<span class=\"s\">&quot;open</span>\n<span class=\"t\">int</span>");
}

// Whatever the text is, a reader sees all of it and no more; nothing of it becomes a tag.
TEST(Highlight, ShowsEveryTextAsItIs) {
  for (const char* text : {"",
                           "/*",
                           "//",
                           "\"",
                           "'",
                           "\\",
                           "\"\\",
                           "R\"",
                           "R\"(",
                           "R\"ab(x)b\"",
                           "#",
                           "#\\",
                           "0x'",
                           "1e+",
                           ".5.",
                           "</pre><script>alert(1)</script>",
                           "/* </span> */",
                           "\"<img src=x>\"",
                           "&amp;",
                           "a&&b",
                           "#if A<B\n#endif",
                           "\xff\xfe",
                           "é",
                           "u8R\"(é)\"",
                           "L'<'",
                           "1'",
                           "'a",
                           "/*\n<*/>",
                           "//\\\n<",
                           "asm(\"mov %0;\" :: \"r\"(x));"}) {
    const std::string html = highlighted(text);
    EXPECT_EQ(shown(html), text);
    EXPECT_THAT(html, Not(HasSubstr("<script")));
    EXPECT_THAT(html, Not(HasSubstr("<img")));
  }
}

TEST(Markup, TextCannotTurnItsDirection) {
  EXPECT_EQ(escape_html("a\xe2\x80\xae"
                        "b\xe2\x81\xa6"),
            "a[U+202E]b[U+2066]");
  EXPECT_EQ(escape_html("– \xe2\x80"), "– \xe2\x80");
}

TEST(Markup, ShortensByCharacters) {
  EXPECT_EQ(shortened("ééé", 3), "ééé");
  EXPECT_EQ(shortened("éééé", 3), "ééé…");
  EXPECT_EQ(shortened("", 0), "");
}

TEST(Markup, FiguresKeepThreeDigits) {
  EXPECT_EQ(scaled(2.143e10, "B/s"), "21.4 GB/s");
  EXPECT_EQ(scaled(999.9e6, "FLOP"), "1.00 GFLOP");
  EXPECT_EQ(scaled(123456, "B"), "123 kB");
  EXPECT_EQ(scaled(0, "B"), "0 B");
  EXPECT_EQ(percent(0.004), "0.4 %");
  EXPECT_EQ(percent(0.813), "81 %");
}

LoggedVerdict verdict(const std::string& program, const std::string& parent,
                      const std::string& kind, double ms) {
  LoggedVerdict one;
  one.program = program;
  one.parent = parent;
  one.region = "r0";
  one.kind = kind;
  one.ms = ms;
  one.proposer = "expert";
  one.idea = "idea of " + program;
  if (ms > 0) {
    one.reference = parent;
    one.speedup = 1.25;
    one.speedup_low = 1.2;
    one.speedup_high = 1.3;
  } else {
    one.reason = "reason of " + program;
  }
  return one;
}

TEST(Lineage, FromTheFirstProgramToTheAcceptedOne) {
  std::vector<LoggedVerdict> all = {
      verdict("root", "", "accepted", 4), verdict("side", "root", "wrong", 0),
      verdict("kid", "root", "accepted", 3), verdict("late", "kid", "slower", 5),
      verdict("best", "kid", "accepted", 2)};
  all[0].schedule = {{"op0.mr", 8}, {"op0.kc", 256}};
  all[2].schedule = {{"op0.mr", 12}, {"op0.kc", 256}, {"rule/sums exchanged/mean", 1}};
  LoggedVerdict promoted = verdict("best", "kid", "accepted", 2);
  promoted.promotion = true;
  promoted.reference = "eager";
  promoted.speedup = 2;
  all.push_back(promoted);
  const std::string text = shown(lineage_html(all, "r0", "best"));
  EXPECT_THAT(text, HasSubstr("3 of 5 programs led to this one"));
  const size_t root = text.find("idea of root"), kid = text.find("idea of kid");
  const size_t best = text.find("idea of best");
  EXPECT_LT(root, kid);
  EXPECT_LT(kid, best);
  EXPECT_NE(best, std::string::npos);
  EXPECT_THAT(text, HasSubstr("op0.mr 8 → 12, rewrite sums exchanged at mean"));
  EXPECT_THAT(text, HasSubstr("1 made from it as well: 1 wrong"));
  EXPECT_THAT(text, HasSubstr("reason of side"));
  EXPECT_THAT(text, HasSubstr("1.25x (1.20 – 1.30) against its parent"));
  EXPECT_THAT(text, HasSubstr("promotion: accepted 2.00x"));
  EXPECT_EQ(lineage_html(all, "r1", "best"), "");
  EXPECT_EQ(lineage_html(all, "r0", "unknown"), "");
}

TEST(Lineage, EndsWhereParentsGoRound) {
  std::vector<LoggedVerdict> all = {
      verdict("a", "b", "slower", 1),         verdict("b", "a", "slower", 1),
      verdict("c", "c", "slower", 1),         verdict("e", "c", "wrong", 0),
      verdict("d", "elsewhere", "slower", 1), verdict("f", "e", "wrong", 0)};
  EXPECT_THAT(shown(lineage_html(all, "r0", "a")), HasSubstr("idea of b"));
  EXPECT_THAT(shown(lineage_html(all, "r0", "c")), HasSubstr("1 of 6"));
  EXPECT_THAT(shown(lineage_html(all, "r0", "c")), HasSubstr("2 made from it as well: 2 wrong"));
  EXPECT_THAT(shown(lineage_html(all, "r0", "d")), HasSubstr("made from elsewhere of another run"));
}

TEST(Lineage, ChangesOfASchedule) {
  EXPECT_EQ(schedule_change({{"a", 1}, {"b", 2}}, {{"a", 1}, {"c<", 3}}), "c&lt; 3, without b");
  EXPECT_EQ(schedule_change({}, {{"a", 1}}), "");
  EXPECT_EQ(schedule_change({{"a", 1}}, {{"a", 1}}), "");
}

TEST(Refusals, LikeReasonsAreOneRow) {
  auto first = verdict("a", "", "wrong", 0), second = verdict("b", "", "wrong", 0);
  first.reason = second.reason = "element 3 <of> y0";
  const auto slow = verdict("c", "", "slower", 2);
  auto refused = verdict("d", "", "slower", 2);
  refused.promotion = true;
  refused.reason = "not faster with confidence";
  const std::string html = refusals_html({first, second, slow, refused});
  EXPECT_THAT(html, HasSubstr("<div>2</div>"));
  EXPECT_THAT(html, HasSubstr("element 3 &lt;of&gt; y0"));
  EXPECT_THAT(html, HasSubstr("idea of b"));
  const std::string text = shown(html);
  EXPECT_THAT(text, HasSubstr("slower at promotion"));
  EXPECT_LT(text.find("slower at promotion"), text.find("element 3"));
  EXPECT_THAT(text, HasSubstr("1 program was right, but not faster"));
  EXPECT_THAT(shown(refusals_html({slow})), HasSubstr("No program was refused"));
}

TEST(Intervals, OneScaleForAll) {
  const std::string html = intervals_html(
      {{"against A", 4, 2, 1.9, 2.1}, {"against B", 0, 0.5, 0.4, 0.6}, {"none", 1, 0, 0, 0}});
  EXPECT_THAT(shown(html), HasSubstr("2.00x (1.90 – 2.10)"));
  EXPECT_THAT(html, HasSubstr("bar up"));
  EXPECT_THAT(html, HasSubstr("bar down"));
  EXPECT_THAT(html, Not(HasSubstr("none")));
  EXPECT_EQ(intervals_html({}), "");
}

nlohmann::json with_region(double flops, double bytes) {
  return {{"machine",
           {{"levels",
             {{{"name", "L1"}, {"bytes", 32768}, {"copy_bytes_per_s", 2e11}},
              {{"name", "D<RAM"}, {"bytes", 0}, {"copy_bytes_per_s", 2e10}}}},
            {"rates", {{{"unit", "fma"}, {"dtype", "f32"}, {"flops_per_s", 1e11}}}}}},
          {"regions",
           {{{"id", "r0"},
             {"accepted", true},
             {"eager_ms", 4},
             {"work", {{"contraction_flops", flops}, {"other_flops", 0}, {"bytes", bytes}}},
             {"ceilings", {{"bytes_per_s", 2e10}, {"flops_per_s", 1e11}}},
             {"promotion", {{"timing", {{"ms", 2}}}}}}}}};
}

TEST(Roofline, APointUnderItsCeilings) {
  // 1e8 FLOP and 1e7 B at 2 ms: 50 GFLOP/s of 100, the limit being arithmetic (1 ms over 0.5).
  const std::string html = roofline_html(with_region(1e8, 1e7));
  const std::string text = shown(html);
  for (const char* expected : {"50.0 GFLOP/s", "5.00 GB/s", "50 %", "fma f32 100 GFLOP/s",
                               "D<RAM 20.0 GB/s", "r0, eager: 4.00 ms"})
    EXPECT_THAT(text, HasSubstr(expected));
  EXPECT_THAT(html, HasSubstr("class=\"point\""));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  EXPECT_THAT(html, Not(HasSubstr("inf")));
}

// Calls in alternation see the same machine; the time at the run's start need not.
TEST(Roofline, EagerIsOfTheSamePromotion) {
  auto result = with_region(1e8, 1e7);
  result["regions"][0]["promotion"]["baselines"] =
      nlohmann::json::parse(R"([{"reference": "compile", "reference_ms": 3},
                                {"reference": "eager", "reference_ms": 8}])");
  EXPECT_THAT(shown(roofline_html(result)), HasSubstr("r0, eager: 8.00 ms"));
}

TEST(Roofline, WhatOnlyMovesDataStandsInTheTableAlone) {
  const std::string html = roofline_html(with_region(0, 2e7));
  EXPECT_THAT(html, Not(HasSubstr("<svg")));
  EXPECT_THAT(shown(html), HasSubstr("10.0 GB/s"));
  EXPECT_THAT(shown(html), HasSubstr("50 %"));
}

TEST(Roofline, NothingWithoutFigures) {
  auto without = with_region(1e8, 1e7);
  without["regions"][0].erase("work");
  EXPECT_EQ(roofline_html(without), "");
  without = with_region(1e8, 1e7);
  without["regions"][0]["accepted"] = false;
  EXPECT_EQ(roofline_html(without), "");
  EXPECT_EQ(roofline_html(nlohmann::json::parse(R"({"regions": 3})")), "");
}

}  // namespace
}  // namespace kernelwright::report
