// SPDX-License-Identifier: Apache-2.0
#include "program/hazards.h"

#include <fmt/core.h>

#include "program/limits.h"
#include "program/malformed.h"

namespace kernelwright::program {
namespace {

class Walk {
 public:
  explicit Walk(const BufferTable& table)
      : table_(table), written_(table.size()), ever_(table.size()) {
    for (const Buffer& buffer : table.program().buffers) {
      bool has_content = buffer.role == BufferRole::kInput || buffer.role == BufferRole::kWeight ||
                         buffer.role == BufferRole::kTable || buffer.role == BufferRole::kState ||
                         buffer.role == BufferRole::kSync;
      written_[index(buffer.name, "")] = has_content;
    }
  }

  void steps(const std::vector<Step>& list, const std::string& place) {
    for (size_t i = 0; i < list.size(); ++i) step(list[i], fmt::format("{}[{}]", place, i));
  }

  bool ever_written(const Buffer& buffer) const { return ever_[index(buffer.name, "")]; }

 private:
  static constexpr int kVisitBudget = 200'000;

  size_t index(const std::string& name, const std::string& place) const {
    return static_cast<size_t>(table_.at(name, place).index);
  }

  void read(const std::string& name, const std::string& place, const char* hint = "") const {
    if (!written_[index(name, place)])
      throw Malformed(
          place, fmt::format("{} {} is read before anything wrote it{}",
                             role_name(table_.at(name, place).buffer->role), excerpt(name), hint));
  }
  void write(const std::string& name, const std::string& place) {
    written_[index(name, place)] = true;
    ever_[index(name, place)] = true;
  }

  void args(const std::vector<Arg>& list, const std::string& place) {
    for (size_t i = 0; i < list.size(); ++i)
      if (const auto* arg = std::get_if<BufferArg>(&list[i]); arg && arg->access != Access::kWrite)
        read(arg->buffer, fmt::format("{}.args[{}]", place, i),
             arg->access == Access::kRead ? "; what the kernel writes is given as {\"out\": NAME}"
                                          : "");
    for (const Arg& item : list)
      if (const auto* arg = std::get_if<BufferArg>(&item); arg && arg->access != Access::kRead)
        write(arg->buffer, place);
  }

  void step(const Step& step, const std::string& place) {
    if (++visits_ > kVisitBudget)
      throw Malformed(place, "repeats and swaps are too entangled to check");
    if (const auto* launch = std::get_if<Launch>(&step.action)) {
      args(launch->args, place);
    } else if (const auto* call = std::get_if<LibraryCall>(&step.action)) {
      args(call->args, fmt::format("{}.{}", place, kLibraryStep));
    } else if (const auto* fill = std::get_if<Fill>(&step.action)) {
      write(fill->buffer, place);
    } else if (const auto* copy = std::get_if<Copy>(&step.action)) {
      read(copy->from, place + ".copy.from");
      write(copy->to, place);
    } else if (const auto* again = std::get_if<Repeat>(&step.action)) {
      repeat(*again, place);
    }
  }

  void repeat(const Repeat& repeat, const std::string& place) {
    int64_t left = table_.value(repeat.count, place + ".repeat", 1, kMaxRepeatCount);
    std::map<std::vector<bool>, int64_t> seen;
    while (left > 0) {
      auto [it, fresh] = seen.emplace(written_, left);
      if (!fresh) {
        // The same set of written names as before: only the rest of the last round still matters.
        left %= it->second - left;
        if (left == 0) break;
        seen.clear();
      }
      steps(repeat.body, place + ".body");
      for (const auto& [a, b] : repeat.swap) {
        size_t i = index(a, place), j = index(b, place);
        bool held = written_[i];
        written_[i] = written_[j];
        written_[j] = held;
      }
      --left;
    }
  }

  const BufferTable& table_;
  std::vector<bool> written_;  // by buffer index: the name's present storage has content
  std::vector<bool> ever_;     // by buffer index: some step writes it
  int visits_ = 0;
};

}  // namespace

void check_hazards(const BufferTable& table) {
  const Program& program = table.program();
  Walk walk(table);
  walk.steps(program.prepare, "prepare");
  walk.steps(program.run, "run");
  for (const Buffer& buffer : program.buffers) {
    bool must = buffer.role == BufferRole::kOutput || buffer.role == BufferRole::kState;
    if (must && !walk.ever_written(buffer))
      throw Malformed("buffers." + buffer.name,
                      fmt::format("{} is never written", role_name(buffer.role)));
  }
}

}  // namespace kernelwright::program
