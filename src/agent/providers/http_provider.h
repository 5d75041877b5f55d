// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "agent/books.h"
#include "agent/open.h"
#include "agent/provider.h"
#include "agent/providers/http.h"

namespace kernelwright::agent {

// A model behind a server that speaks one of the three protocols.
class HttpProvider : public Provider {
 public:
  // `books` may be null.
  HttpProvider(ModelSpec spec, ProviderSettings settings, std::string key,
               std::shared_ptr<Books> books);
  const ModelSpec& spec() const override { return spec_; }
  Result<Reply> complete(const Request& request, const EventSink& on_event,
                         const CancelToken& cancel) override;

 private:
  // One request and what came of it.
  struct Attempt {
    Result<Reply> reply;
    bool retriable = false;
    bool may_be_charged = false;  // the server began to work, and nobody says for how many tokens
    bool unreached = false;
    double retry_after_s = -1;
  };
  Attempt send(const std::string& body, const EventSink& on_event, const CancelToken& cancel) const;
  Attempt refused(const HttpOutcome& outcome, const std::string& body) const;
  Attempt broken(const HttpOutcome& outcome) const;
  Error error(ErrorKind kind, std::string what) const;
  Result<std::string> write_body(const Request& request) const;
  void redact(Reply& reply) const;

  const ModelSpec spec_;
  const ProviderSettings settings_;
  const std::string key_;
  const std::shared_ptr<Books> books_;
};

// More tokens than a request's body can hold: a token is at least a byte; images and what a server
// adds of its own are on top.
int64_t most_input_tokens(size_t body_bytes, const Request& request);

}  // namespace kernelwright::agent
