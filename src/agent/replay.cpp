// SPDX-License-Identifier: Apache-2.0
#include "agent/replay.h"

#include <fmt/core.h>

namespace kernelwright::agent {

void say_again(const Reply& reply, const EventSink& on_event) {
  if (!on_event) return;
  for (const Block& block : reply.message.blocks) {
    if (const auto* text = std::get_if<TextBlock>(&block))
      on_event({Event::Kind::kText, text->text});
    else if (const auto* call = std::get_if<ToolCall>(&block))
      on_event({Event::Kind::kToolCall, call->name});
  }
}

Result<Reply> ReplayProvider::complete(const Request& request, const EventSink& on_event,
                                       const CancelToken& cancel) {
  if (cancel.cancelled()) return fail(ErrorKind::kInterrupted, "cancelled");
  KW_TRY(const std::optional<Reply> reply, books_->recorded(spec_.text, request));
  if (!reply)
    return fail(ErrorKind::kInput,
                fmt::format("the transcript holds no further reply of {} in conversation {}",
                            spec_.text, request.conversation));
  say_again(*reply, on_event);
  return *reply;
}

}  // namespace kernelwright::agent
