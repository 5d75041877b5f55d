// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "referee/bench_protocol.h"

namespace kernelwright::referee::bench {
namespace {

template <class T>
T round_trip(const T& message) {
  T back;
  const Status status = decode(nlohmann::json::parse(encode(message).dump()), back);
  EXPECT_TRUE(status) << status.error().text();
  EXPECT_EQ(encode(back), encode(message));
  return back;
}

TEST(RefereeProtocol, MessagesSurviveTheWire) {
  round_trip(Load{{{"{}", {{"x", 0}}, {{"y", 1}}}}, 2, 1 << 20});
  round_trip(Map{3, true, lay_out_arena({100, 5000}, Flush::kEnd), {"input 0", "input 1"}});
  round_trip(Unmap{3});
  Binding binding;
  binding.id = 4;
  binding.inputs = {{0, 1}};
  binding.outputs = {{1, 0}};
  binding.weights = {{"w", {2, 0}}};
  binding.states = {{"s", {0, 2}, {1, 1}}};
  binding.scalars = {1.5};
  const Binding back = round_trip(binding);
  EXPECT_EQ(back.states.at(0).to.region, 1);
  round_trip(bench::Run{1, -1});
  round_trip(Time{{{1, 2}, {3}}, 5, 7});
  round_trip(Repeat{1, 100});
  round_trip(Ran{1.5, 2, true, false});
  round_trip(Timed{{{1, 2}, {3, 4}}, {5, 6}, {1, 3}});
  round_trip(Profile{4});
  round_trip(Profiled{{1, 2.5}, {{10, 20, -1, -1, 3}, {-1, -1, -1, -1, -1}}});
}

// The judged process may say anything.
TEST(RefereeProtocol, NonsenseIsAnError) {
  Ran ran;
  Timed timed;
  Repeated repeated;
  for (const char* text :
       {"[]", "{}", "3",
        R"({"ms": "fast", "prepare_ms": 0, "prepared": true, "sync_is_zero": true})",
        R"({"ms": -1, "prepare_ms": 0, "prepared": true, "sync_is_zero": true})",
        R"({"ms": 1e300, "prepare_ms": 0, "prepared": true, "sync_is_zero": true})",
        R"({"ms": null, "prepare_ms": 0, "prepared": true, "sync_is_zero": true})"}) {
    EXPECT_FALSE(decode(nlohmann::json::parse(text), ran)) << text;
  }
  EXPECT_FALSE(decode(nlohmann::json::parse(R"({"ms": [[1], [-2]], "last": [0, 1]})"), timed));
  timed = {};
  EXPECT_FALSE(decode(nlohmann::json::parse(R"({"ms": [[1]], "last": [0, 1]})"), timed));
  timed = {};
  EXPECT_FALSE(decode(nlohmann::json::parse(R"({"ms": 7, "last": []})"), timed));
  EXPECT_FALSE(decode(nlohmann::json::parse(R"({"ms": {}})"), repeated));
  Profiled profiled;
  for (const char* text :
       {R"({"ms": [1, -1], "counts": [[1,1,1,1,1],[1,1,1,1,1]]})", R"({"ms": [1]})",
        R"({"ms": [1], "counts": []})", R"({"ms": [1], "counts": [[1,2,3,4]]})",
        R"({"ms": [1], "counts": [[1,2,3,4,"5"]]})"}) {
    profiled = {};
    EXPECT_FALSE(decode(nlohmann::json::parse(text), profiled)) << text;
  }
}

}  // namespace
}  // namespace kernelwright::referee::bench
