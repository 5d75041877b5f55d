// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/tools.h"
#include "mcp/executor.h"
#include "mcp/rpc.h"

namespace kernelwright::mcp {

extern const char* const kStatelessVersion;                // "2026-07-28"
extern const std::vector<std::string> kHandshakeVersions;  // oldest first

// True when the request is of the stateless revision: it says its version itself.
bool is_stateless(const Message& request);

// The Model Context Protocol without a transport: what is asked at once is answered at once, tools
// and program resources go to the executor's thread. Both eras are served: `initialize` with the
// versions above, and requests that carry their version in `_meta`.
class Server {
 public:
  struct Options {
    std::filesystem::path root;  // canonical
    std::string version;         // of this program
    // Instead of workloads of this process (tests): made, used and destroyed on one thread.
    std::function<std::unique_ptr<agent::Workshop>()> make_workshop;
  };
  explicit Server(Options options);
  ~Server();

  // Where the answer to a request goes; called once, from any thread. An error has its code beside
  // the text, for transports that want it.
  struct Answer {
    std::string text;
    int error_code = 0;    // 0: a result
    bool dropped = false;  // cancelled: nothing is to be sent
  };
  using Reply = std::function<void(Answer)>;
  using Notify = std::function<void(std::string)>;

  // `notify` gets progress, before the reply. Whoever holds `cancellation` may cancel the request.
  void handle(const Message& request, const CancellationRef& cancellation, const Reply& reply,
              const Notify& notify);

  // Cancels all work and waits up to some seconds for it to end; false: something goes on.
  bool stop(double seconds);

 private:
  using Json = nlohmann::json;
  Json discover() const;
  Json initialize(const Json& params) const;
  // A result or an error of a method that needs no workload.
  struct Direct {
    std::optional<Json> result;
    std::optional<RpcError> error;
  };
  Direct answer_directly(const Message& request, bool stateless) const;
  Direct read_resource(const Json& params) const;
  void call_tool(const Message& request, bool stateless, const CancellationRef& cancellation,
                 const Reply& reply, const Notify& notify);
  Json finished(Json result, bool stateless, int ttl_ms) const;

  Options options_;
  std::unique_ptr<agent::Workshop> workshop_;  // of the executor's thread
  std::unique_ptr<Executor> executor_;
};

}  // namespace kernelwright::mcp
