// SPDX-License-Identifier: Apache-2.0
#include "agent/texts.h"

#include <map>

#include "target/cpu/device_sources.h"
#include "target/cuda/device_sources.h"

namespace kernelwright::agent {
namespace {

// The probes measure machines; kernels do not include them.
bool is_header(const std::string& name) {
  return name.size() > 2 && name.substr(name.size() - 2) == ".h";
}

using Texts = std::map<std::string, const std::string*>;

const Texts& texts() {
  static const Texts all = [] {
    Texts out;
    for (const auto& text : target::agent_texts()) out[text.name] = &text.text;
    for (const auto& source : target::device_sources())
      if (is_header(source.name)) out["cpu/" + source.name] = &source.text;
    for (const auto& source : target::cuda_device_sources())
      if (is_header(source.name)) out["cuda/" + source.name] = &source.text;
    return out;
  }();
  return all;
}

}  // namespace

const std::string* find_text(const std::string& name) {
  const auto it = texts().find(name);
  return it == texts().end() ? nullptr : it->second;
}

std::vector<std::string> playbook_names() {
  std::vector<std::string> names = {"cpu", "cuda", "program-format"};
  for (const auto& [name, unused] : texts())
    if (is_header(name)) names.push_back(name);
  return names;
}

}  // namespace kernelwright::agent
