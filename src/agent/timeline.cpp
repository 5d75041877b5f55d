// SPDX-License-Identifier: Apache-2.0
#include "agent/timeline.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kernelwright::agent {
namespace {

using nlohmann::json;

int64_t sum(const Usage& usage) {
  return usage.input + usage.output + usage.cache_read + usage.cache_write;
}

}  // namespace

json to_json(const ConversationLog& log) {
  json calls = json::array();
  for (const auto& call : log.calls)
    calls.push_back({{"tool", call.tool},
                     {"said", call.said},
                     {"program", call.program},
                     {"at_s", call.at_s},
                     {"seconds", call.seconds},
                     {"error", call.error}});
  return {{"id", log.id},
          {"role", log.role},
          {"region", log.region},
          {"idea", log.idea},
          {"model", log.model},
          {"start_s", log.start_s},
          {"end_s", log.end_s},
          {"replies", log.replies},
          {"replayed", log.replayed},
          {"usage", to_json(log.usage)},
          {"cost_usd", log.cost_usd},
          {"calls", std::move(calls)},
          {"said", log.said},
          {"ended", log.ended}};
}

int64_t Meter::Reading::tokens() const {
  return sum(usage);
}

void Meter::begin_conversation() {
  const std::lock_guard lock(mutex_);
  ++reading_.conversations;
}

void Meter::count(const std::string& model, const Reply& reply, ConversationLog& log) {
  const double cost = price_ && !reply.replayed ? price_(model, reply) : 0;
  ++log.replies;
  log.replayed += reply.replayed ? 1 : 0;
  log.usage += reply.usage;
  log.cost_usd += cost;
  const std::lock_guard lock(mutex_);
  ++reading_.replies;
  reading_.replayed += reply.replayed ? 1 : 0;
  reading_.usage += reply.usage;
  reading_.cost_usd += cost;
  if (!reply.replayed) reading_.fresh_tokens += sum(reply.usage);
}

Meter::Reading Meter::read() const {
  const std::lock_guard lock(mutex_);
  return reading_;
}

json to_json(const Meter::Reading& reading) {
  return {{"conversations", reading.conversations},
          {"replies", reading.replies},
          {"replayed", reading.replayed},
          {"usage", to_json(reading.usage)},
          {"tokens", reading.tokens()},
          {"cost_usd", reading.cost_usd}};
}

std::string meter_text(const Meter::Reading& reading) {
  const auto tokens = static_cast<double>(reading.tokens());
  std::string out = tokens >= 1e6   ? fmt::format("{:.2f}M tokens", tokens / 1e6)
                    : tokens >= 1e3 ? fmt::format("{:.1f}k tokens", tokens / 1e3)
                                    : fmt::format("{:.0f} tokens", tokens);
  if (reading.cost_usd > 0) out += fmt::format(", ${:.2f}", reading.cost_usd);
  return out;
}

}  // namespace kernelwright::agent
