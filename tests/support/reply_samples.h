// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "agent/model_spec.h"

namespace kernelwright::testing {

// The events of a reply with words and two calls, as each protocol says them.
inline std::vector<std::string> reply_sample(agent::Protocol protocol) {
  if (protocol == agent::Protocol::kAnthropicMessages)
    return {
        R"({"type":"message_start","message":{"model":"m","usage":{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":4,"cache_creation_input_tokens":5}}})",
        R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})",
        R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}})",
        R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}})",
        R"({"type":"content_block_stop","index":0})",
        R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})",
        R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello"}})",
        R"({"type":"content_block_stop","index":1})",
        R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}})",
        R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}})",
        R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}})",
        R"({"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"b","name":"g","input":{}}})",
        R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}})",
        R"({"type":"message_stop"})"};
  if (protocol == agent::Protocol::kOpenAiChat)
    return {
        R"({"model":"m","choices":[{"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]})",
        R"({"model":"m","choices":[{"delta":{"content":"lo"}}]})",
        R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]})",
        R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]})",
        R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":""}}]}}]})",
        R"({"choices":[{"delta":{},"finish_reason":"tool_calls"}]})",
        R"({"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}})",
        "[DONE]"};
  return {
      R"({"type":"response.created","response":{"model":"m"}})",
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"r","encrypted_content":"e"}})",
      R"({"type":"response.output_text.delta","delta":"Hello"})",
      R"({"type":"response.output_item.done","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"Hello"}]}})",
      R"({"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1}"}})",
      R"({"type":"response.output_item.done","output_index":3,"item":{"type":"function_call","call_id":"b","name":"g","arguments":""}})",
      R"({"type":"response.completed","response":{"model":"m","status":"completed","usage":{"input_tokens":14,"output_tokens":7,"input_tokens_details":{"cached_tokens":4}}}})"};
}

// The same in one piece, as servers answer that do not stream.
inline std::string whole_reply_sample(agent::Protocol protocol) {
  if (protocol == agent::Protocol::kAnthropicMessages)
    return R"({"type":"message","model":"m","stop_reason":"tool_use","content":[{"type":"text","text":"Hello"},{"type":"tool_use","id":"a","name":"f","input":{"x":1}}],"usage":{"input_tokens":10,"output_tokens":7}})";
  if (protocol == agent::Protocol::kOpenAiChat)
    return R"({"model":"m","choices":[{"message":{"content":"Hello","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":14,"completion_tokens":7}})";
  return R"({"model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]},{"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1}"}],"usage":{"input_tokens":14,"output_tokens":7}})";
}

}  // namespace kernelwright::testing
