// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kernelwright::agent {

// How a server is spoken to.
enum class Protocol {
  kAnthropicMessages,  // POST BASE/messages
  kOpenAiChat,         // POST BASE/chat/completions
  kOpenAiResponses,    // POST BASE/responses
};
const char* protocol_name(Protocol protocol);  // "anthropic", "chat", "responses"

// A model as the user names it:
//   anthropic:NAME                    https://api.anthropic.com/v1, Anthropic Messages
//   openai:NAME                       https://api.openai.com/v1, OpenAI Responses
//   http://HOST:PORT/v1#NAME          any server that speaks OpenAI Chat Completions; https as well
//   anthropic+http://HOST/v1#NAME     the same with another protocol: anthropic+, chat+, responses+
// A base URL without a path gets /v1.
struct ModelSpec {
  std::string text;  // as given: the model's name in prices, transcripts and reports
  Protocol protocol = Protocol::kOpenAiChat;
  std::string base_url;      // no trailing slash
  std::string model;         // what the request asks for
  std::string key_variable;  // "ANTHROPIC_API_KEY", "OPENAI_API_KEY" or "KERNELWRIGHT_API_KEY"
  bool key_required = false;

  std::string endpoint() const;  // full URL of the request
};

// kUsage on anything else. A URL with a user name or password is refused: keys have their own
// place.
Result<ModelSpec> parse_model_spec(std::string_view text);

}  // namespace kernelwright::agent
