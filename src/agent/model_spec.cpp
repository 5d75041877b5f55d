// SPDX-License-Identifier: Apache-2.0
#include "agent/model_spec.h"

#include <fmt/core.h>

#include <optional>

namespace kernelwright::agent {
namespace {

struct ProtocolRow {
  Protocol protocol;
  const char* name;
  const char* path;  // below the base URL
};
constexpr ProtocolRow kProtocols[] = {
    {Protocol::kAnthropicMessages, "anthropic", "/messages"},
    {Protocol::kOpenAiChat, "chat", "/chat/completions"},
    {Protocol::kOpenAiResponses, "responses", "/responses"},
};

const ProtocolRow& row(Protocol protocol) {
  for (const ProtocolRow& r : kProtocols)
    if (r.protocol == protocol) return r;
  return kProtocols[1];
}

tl::unexpected<Error> usage(std::string_view text, const char* why) {
  return fail(
      ErrorKind::kUsage,
      fmt::format("model '{}': {}; expected anthropic:NAME, openai:NAME or URL#NAME", text, why));
}

bool has_control(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return true;
  return false;
}

// Checks "http(s)://host[:port][/path]" and takes off trailing slashes.
std::optional<const char*> check_url(std::string& url) {
  const size_t host = url.find("://") + 3;
  while (url.size() > host && url.back() == '/') url.pop_back();
  const size_t path = url.find('/', host);
  const std::string authority = url.substr(host, path == std::string::npos ? path : path - host);
  if (authority.empty() || authority.front() == ':') return "no host in its URL";
  if (authority.find('@') != std::string::npos) return "a URL may hold no user name or password";
  if (url.find('?') != std::string::npos) return "a base URL has no query";
  if (path == std::string::npos) url += "/v1";
  return std::nullopt;
}

}  // namespace

const char* protocol_name(Protocol protocol) {
  return row(protocol).name;
}

std::string ModelSpec::endpoint() const {
  return base_url + row(protocol).path;
}

Result<ModelSpec> parse_model_spec(std::string_view text) {
  ModelSpec spec;
  spec.text = text;
  if (text.size() > 1000 || has_control(text)) return usage("...", "a name without spaces, please");
  if (text.starts_with("anthropic:")) {
    spec.protocol = Protocol::kAnthropicMessages;
    spec.base_url = "https://api.anthropic.com/v1";
    spec.key_variable = "ANTHROPIC_API_KEY";
    spec.key_required = true;
    spec.model = text.substr(text.find(':') + 1);
  } else if (text.starts_with("openai:")) {
    spec.protocol = Protocol::kOpenAiResponses;
    spec.base_url = "https://api.openai.com/v1";
    spec.key_variable = "OPENAI_API_KEY";
    spec.key_required = true;
    spec.model = text.substr(text.find(':') + 1);
  } else {
    std::string_view rest = text;
    for (const ProtocolRow& r : kProtocols) {
      const std::string prefix = std::string(r.name) + "+";
      if (!rest.starts_with(prefix)) continue;
      spec.protocol = r.protocol;
      rest.remove_prefix(prefix.size());
      break;
    }
    if (!rest.starts_with("http://") && !rest.starts_with("https://"))
      return usage(text, "neither a provider's name nor a URL");
    const size_t hash = rest.find('#');
    if (hash == std::string_view::npos) return usage(text, "no #NAME after its URL");
    spec.base_url = rest.substr(0, hash);
    spec.model = rest.substr(hash + 1);
    spec.key_variable = "KERNELWRIGHT_API_KEY";
    if (const auto why = check_url(spec.base_url)) return usage(text, *why);
  }
  if (spec.model.empty()) return usage(text, "no model's name");
  return spec;
}

}  // namespace kernelwright::agent
