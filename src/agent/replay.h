// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/books.h"
#include "agent/provider.h"

namespace kernelwright::agent {

// Answers from a transcript; needs no key and no network. kInput when the transcript holds no reply
// to a turn, as where the run that it records failed or ended.
class ReplayProvider : public Provider {
 public:
  ReplayProvider(ModelSpec spec, std::shared_ptr<Books> books)
      : spec_(std::move(spec)), books_(std::move(books)) {}
  const ModelSpec& spec() const override { return spec_; }
  Result<Reply> complete(const Request& request, const EventSink& on_event,
                         const CancelToken& cancel) override;

 private:
  const ModelSpec spec_;
  const std::shared_ptr<Books> books_;
};

// Says a recorded reply through the sink, as if it came now.
void say_again(const Reply& reply, const EventSink& on_event);

}  // namespace kernelwright::agent
