// SPDX-License-Identifier: Apache-2.0
#include "referee/bench_protocol.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace kernelwright::referee::bench {
namespace {

using nlohmann::json;

json encode_ref(const TensorRef& ref) {
  return json::array({ref.arena, ref.region});
}

TensorRef decode_ref(const json& value) {
  return {value.at(0).get<int>(), value.at(1).get<int>()};
}

double milliseconds(const json& value) {
  const double ms = value.get<double>();
  if (!std::isfinite(ms) || ms < 0 || ms > 1e9) throw std::out_of_range("a time out of range");
  return ms;
}

template <class Body>
Status guarded(Body body) {
  try {
    body();
    return {};
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInput, std::string("malformed message: ") + e.what());
  }
}

}  // namespace

json encode(const Load& message) {
  json programs = json::array();
  for (const Load::Program& program : message.programs) {
    programs.push_back(
        {{"json", program.json}, {"inputs", program.inputs}, {"outputs", program.outputs}});
  }
  return {{"op", "load"},
          {"programs", programs},
          {"threads", message.threads},
          {"flush_bytes", message.flush_bytes}};
}
Status decode(const json& value, Load& message) {
  return guarded([&] {
    for (const json& program : value.at("programs")) {
      message.programs.push_back({program.at("json").get<std::string>(),
                                  program.at("inputs").get<std::map<std::string, int>>(),
                                  program.at("outputs").get<std::map<std::string, int>>()});
    }
    message.threads = value.at("threads").get<int>();
    message.flush_bytes = value.at("flush_bytes").get<uint64_t>();
  });
}

json encode(const Loaded& message) {
  return {{"ok", true}, {"workspace_bytes", message.workspace_bytes}};
}
Status decode(const json& value, Loaded& message) {
  return guarded(
      [&] { message.workspace_bytes = value.at("workspace_bytes").get<std::vector<int64_t>>(); });
}

json encode(const Map& message) {
  json regions = json::array();
  for (const ArenaRegion& region : message.layout.regions) {
    regions.push_back({region.file_offset, region.file_bytes, region.tensor_offset,
                       region.tensor_bytes, region.segment});
  }
  return {{"op", "map"},
          {"id", message.id},
          {"writable", message.writable},
          {"segments", message.layout.segments},
          {"regions", regions},
          {"labels", message.labels}};
}
Status decode(const json& value, Map& message) {
  return guarded([&] {
    message.id = value.at("id").get<int>();
    message.writable = value.at("writable").get<bool>();
    message.layout.segments = value.at("segments").get<std::vector<uint64_t>>();
    for (const json& region : value.at("regions")) {
      message.layout.regions.push_back({region.at(0).get<uint64_t>(), region.at(1).get<uint64_t>(),
                                        region.at(2).get<uint64_t>(), region.at(3).get<uint64_t>(),
                                        region.at(4).get<int>()});
    }
    message.labels = value.at("labels").get<std::vector<std::string>>();
  });
}

json encode(const Unmap& message) {
  return {{"op", "unmap"}, {"id", message.id}};
}
Status decode(const json& value, Unmap& message) {
  return guarded([&] { message.id = value.at("id").get<int>(); });
}

json encode(const Binding& message) {
  json out = {{"op", "bind"},
              {"id", message.id},
              {"program", message.program},
              {"scalars", message.scalars}};
  for (const char* key : {"inputs", "outputs", "weights", "states"}) out[key] = json::array();
  for (const TensorRef& ref : message.inputs) out["inputs"].push_back(encode_ref(ref));
  for (const TensorRef& ref : message.outputs) out["outputs"].push_back(encode_ref(ref));
  for (const auto& [name, ref] : message.weights) out["weights"].push_back({name, encode_ref(ref)});
  for (const Binding::State& state : message.states) {
    out["states"].push_back({state.name, encode_ref(state.from), encode_ref(state.to)});
  }
  return out;
}
Status decode(const json& value, Binding& message) {
  return guarded([&] {
    message.id = value.at("id").get<int>();
    message.program = value.at("program").get<int>();
    message.scalars = value.at("scalars").get<std::vector<double>>();
    for (const json& ref : value.at("inputs")) message.inputs.push_back(decode_ref(ref));
    for (const json& ref : value.at("outputs")) message.outputs.push_back(decode_ref(ref));
    for (const json& weight : value.at("weights")) {
      message.weights.emplace_back(weight.at(0).get<std::string>(), decode_ref(weight.at(1)));
    }
    for (const json& state : value.at("states")) {
      message.states.push_back(
          {state.at(0).get<std::string>(), decode_ref(state.at(1)), decode_ref(state.at(2))});
    }
  });
}

json encode(const Run& message) {
  return {{"op", "run"}, {"binding", message.binding}, {"poison", message.poison}};
}
Status decode(const json& value, Run& message) {
  return guarded([&] {
    message.binding = value.at("binding").get<int>();
    message.poison = value.at("poison").get<int>();
  });
}

json encode(const Ran& message) {
  return {{"ok", true},
          {"ms", message.ms},
          {"prepare_ms", message.prepare_ms},
          {"prepared", message.prepared},
          {"sync_is_zero", message.sync_is_zero}};
}
Status decode(const json& value, Ran& message) {
  return guarded([&] {
    message.ms = milliseconds(value.at("ms"));
    message.prepare_ms = milliseconds(value.at("prepare_ms"));
    message.prepared = value.at("prepared").get<bool>();
    message.sync_is_zero = value.at("sync_is_zero").get<bool>();
  });
}

json encode(const Time& message) {
  return {{"op", "time"},
          {"contenders", message.contenders},
          {"rounds", message.rounds},
          {"start", message.start}};
}
Status decode(const json& value, Time& message) {
  return guarded([&] {
    message.contenders = value.at("contenders").get<std::vector<std::vector<int>>>();
    message.rounds = value.at("rounds").get<int>();
    message.start = value.at("start").get<int>();
  });
}

json encode(const Timed& message) {
  return {
      {"ok", true}, {"ms", message.ms}, {"latency_ms", message.latency_ms}, {"last", message.last}};
}
Status decode(const json& value, Timed& message) {
  return guarded([&] {
    for (const json& contender : value.at("ms")) {
      auto& times = message.ms.emplace_back();
      for (const json& ms : contender) times.push_back(milliseconds(ms));
    }
    for (const json& ms : value.at("latency_ms")) message.latency_ms.push_back(milliseconds(ms));
    message.last = value.at("last").get<std::vector<int>>();
    if (message.last.size() != message.ms.size() || message.latency_ms.size() != message.ms.size())
      throw std::out_of_range("counts differ");
  });
}

json encode(const Repeat& message) {
  return {{"op", "repeat"}, {"binding", message.binding}, {"calls", message.calls}};
}
Status decode(const json& value, Repeat& message) {
  return guarded([&] {
    message.binding = value.at("binding").get<int>();
    message.calls = value.at("calls").get<int>();
  });
}

json encode(const Repeated& message) {
  return {{"ok", true}, {"ms", message.ms}};
}
Status decode(const json& value, Repeated& message) {
  return guarded([&] { message.ms = milliseconds(value.at("ms")); });
}

json encode(const Profile& message) {
  return {{"op", "profile"}, {"binding", message.binding}};
}
Status decode(const json& value, Profile& message) {
  return guarded([&] { message.binding = value.at("binding").get<int>(); });
}

json encode(const Profiled& message) {
  json counts = json::array();
  for (const kw_counts& step : message.counts)
    counts.push_back(
        {step.cycles, step.instructions, step.cache_misses, step.tlb_misses, step.page_faults});
  return {{"ok", true}, {"ms", message.ms}, {"counts", std::move(counts)}};
}
Status decode(const json& value, Profiled& message) {
  return guarded([&] {
    for (const json& ms : value.at("ms")) message.ms.push_back(milliseconds(ms));
    for (const json& step : value.at("counts")) {
      const auto counts = step.get<std::array<int64_t, 5>>();
      message.counts.push_back({counts[0], counts[1], counts[2], counts[3], counts[4]});
    }
    if (message.counts.size() != message.ms.size())
      throw std::invalid_argument("counts are of other steps than times");
  });
}

}  // namespace kernelwright::referee::bench
