// SPDX-License-Identifier: Apache-2.0
#include "mcp/server.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "mcp/prompts.h"
#include "mcp/resources.h"
#include "mcp/workshop.h"

namespace kernelwright::mcp {

const char* const kStatelessVersion = "2026-07-28";
const std::vector<std::string> kHandshakeVersions = {"2024-11-05", "2025-03-26", "2025-06-18",
                                                     "2025-11-25"};

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr const char* kVersionKey = "io.modelcontextprotocol/protocolVersion";
constexpr const char* kCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
constexpr const char* kServerInfoKey = "io.modelcontextprotocol/serverInfo";
constexpr int kListTtlMs = 3600 * 1000;  // tools and prompts stay the same while we run
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

constexpr const char* kInstructions =
    "kernelwright makes PyTorch modules faster: you propose kernel programs, it builds, verifies "
    "and "
    "times them. Call open_workload with the path of a Python file (class Model, get_inputs, "
    "get_init_inputs), then describe_target for the program format and an example, run_expert for "
    "a "
    "first best program, submit_program for your own, and write_artifact for the drop-in. Every "
    "verdict names the first thing to fix.";

const json* meta_of(const Message& request) {
  const auto it = request.params.find("_meta");
  return it != request.params.end() && it->is_object() ? &*it : nullptr;
}

std::optional<RpcError> check_stateless(const Message& request) {
  const json& meta = *meta_of(request);
  if (!meta[kVersionKey].is_string())
    return RpcError{kInvalidParams, fmt::format("_meta.{}: expected a string", kVersionKey),
                    nullptr};
  if (!meta.contains(kCapabilitiesKey) || !meta[kCapabilitiesKey].is_object())
    return RpcError{kInvalidParams, fmt::format("_meta.{}: missing", kCapabilitiesKey), nullptr};
  if (meta[kVersionKey] == kStatelessVersion) return std::nullopt;
  return RpcError{kUnsupportedVersion,
                  "Unsupported protocol version",
                  {{"supported", {kStatelessVersion}},
                   {"requested", meta[kVersionKey].get<std::string>().substr(0, 64)}}};
}

json tool_json(const agent::Tool& tool) {
  return {{"name", tool.name},
          {"title", tool.title},
          {"description", tool.description},
          {"inputSchema", json::parse(tool.schema)},
          {"annotations",
           {{"title", tool.title},
            {"readOnlyHint", tool.read_only},
            {"destructiveHint", false},
            {"openWorldHint", false}}}};
}

json tools_json() {
  json list = json::array();
  for (const auto& tool : agent::tool_table()) list.push_back(tool_json(tool));
  return list;
}

json content_of(const std::string& text) {
  return json::array({{{"type", "text"}, {"text", text}}});
}

json tool_result(const Result<json>& result) {
  if (!result) return {{"content", content_of(result.error().text())}, {"isError", true}};
  return {{"content", content_of(result->dump(-1, ' ', false, json::error_handler_t::replace))},
          {"structuredContent", *result},
          {"isError", false}};
}

// Tells a client of progress: every phase, and within one at most some times a second.
class Progress {
 public:
  Progress(json token, Server::Notify notify)
      : token_(std::move(token)), notify_(std::move(notify)) {}

  void tell(double done, double total, const std::string& what) {
    const auto now = Clock::now();
    const std::string phase = what.substr(0, what.find(':'));
    // The protocol wants numbers that grow.
    if (token_.is_null() || done <= last_ || (phase == phase_ && now - told_ < kProgressInterval))
      return;
    phase_ = phase;
    last_ = done;
    told_ = now;
    json params = {{"progressToken", token_}, {"progress", done}, {"message", what}};
    if (total > 0) params["total"] = total;
    notify_(notification_text("notifications/progress", params));
  }

 private:
  json token_;
  Server::Notify notify_;
  double last_ = -1;
  std::string phase_;
  Clock::time_point told_{};
};

json progress_token(const Message& request) {
  const json* meta = meta_of(request);
  if (!meta || !meta->contains("progressToken")) return nullptr;
  const json& token = (*meta)["progressToken"];
  return token.is_string() || token.is_number_integer() ? token : json();
}

}  // namespace

bool is_stateless(const Message& request) {
  const json* meta = meta_of(request);
  return meta && meta->contains(kVersionKey);
}

Server::Server(Options options)
    : options_(std::move(options)), executor_(std::make_unique<Executor>()) {
  if (!options_.make_workshop)
    options_.make_workshop = [root = options_.root] {
      return std::make_unique<RootedWorkshop>(root);
    };
  // The workshop belongs to the thread that works in it.
  executor_->post(
      std::make_shared<Cancellation>(), [this] { workshop_ = options_.make_workshop(); }, [] {});
}

Server::~Server() {
  executor_->stop([this] { workshop_.reset(); });
  executor_.reset();
}

bool Server::stop(double seconds) {
  // Processes and half-made folders go with the workloads.
  executor_->stop([this] { workshop_.reset(); });
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  while (!executor_->idle()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

json Server::finished(json result, bool stateless, int ttl_ms) const {
  if (!stateless) return result;
  result["resultType"] = "complete";
  result["_meta"][kServerInfoKey] = {{"name", "kernelwright"}, {"version", options_.version}};
  if (ttl_ms >= 0) {
    result["ttlMs"] = ttl_ms;
    result["cacheScope"] = "private";
  }
  return result;
}

json Server::discover() const {
  return {{"supportedVersions", {kStatelessVersion}},
          {"capabilities",
           {{"tools", json::object()}, {"resources", json::object()}, {"prompts", json::object()}}},
          {"instructions", kInstructions}};
}

json Server::initialize(const json& params) const {
  const json asked = params.value("protocolVersion", json());
  std::string version = kHandshakeVersions.back();
  for (const auto& known : kHandshakeVersions)
    if (asked == known) version = known;
  return {{"protocolVersion", version},
          {"capabilities",
           {{"tools", json::object()}, {"resources", json::object()}, {"prompts", json::object()}}},
          {"serverInfo",
           {{"name", "kernelwright"}, {"title", "kernelwright"}, {"version", options_.version}}},
          {"instructions", kInstructions}};
}

Server::Direct Server::read_resource(const json& params) const {
  const json uri = params.value("uri", json());
  if (!uri.is_string())
    return {std::nullopt, RpcError{kInvalidParams, "uri: expected a string", nullptr}};
  auto content = mcp::read_resource(options_.root, uri.get<std::string>());
  if (!content)
    return {std::nullopt, RpcError{kResourceNotFound,
                                   content.error().text(),
                                   {{"uri", uri.get<std::string>().substr(0, 200)}}}};
  return {json{{"contents", json::array({*content})}}, std::nullopt};
}

Server::Direct Server::answer_directly(const Message& request, bool stateless) const {
  const std::string& method = request.method;
  const auto list = [&](const char* key, json value, int ttl_ms) -> Direct {
    return {finished({{key, std::move(value)}}, stateless, ttl_ms), std::nullopt};
  };
  if (method == "server/discover" && stateless)
    return {finished(discover(), true, kListTtlMs), std::nullopt};
  if (method == "initialize" && !stateless) return {initialize(request.params), std::nullopt};
  if (method == "ping" && !stateless) return {json::object(), std::nullopt};
  if (method == "tools/list") return list("tools", tools_json(), kListTtlMs);
  if (method == "prompts/list") return list("prompts", list_prompts(), kListTtlMs);
  if (method == "resources/list") return list("resources", list_resources(options_.root), 0);
  if (method == "resources/templates/list")
    return list("resourceTemplates", list_resource_templates(), kListTtlMs);
  if (method == "resources/read") {
    Direct direct = read_resource(request.params);
    // Earlier revisions have a code of their own for it.
    if (direct.error && stateless) direct.error->code = kInvalidParams;
    if (direct.result) direct.result = finished(std::move(*direct.result), stateless, 0);
    return direct;
  }
  if (method == "prompts/get") {
    auto prompt = get_prompt(request.params);
    if (!prompt) return {std::nullopt, RpcError{kInvalidParams, prompt.error().text(), nullptr}};
    return {finished(std::move(*prompt), stateless, -1), std::nullopt};
  }
  return {std::nullopt, RpcError{kMethodNotFound, "Method not found: " + method, nullptr}};
}

void Server::call_tool(const Message& request, bool stateless, const CancellationRef& cancellation,
                       const Reply& reply, const Notify& notify) {
  const json name = request.params.value("name", json());
  const auto refuse = [&](const std::string& what) {
    reply({error_text(request.id, {kInvalidParams, what, nullptr}), kInvalidParams});
  };
  if (!name.is_string()) return refuse("name: expected a string");
  const auto* tool = agent::find_tool(name.get<std::string>());
  if (!tool) return refuse(fmt::format("Unknown tool: {}", name.get<std::string>().substr(0, 64)));
  json arguments = request.params.value("arguments", json::object());
  auto progress = std::make_shared<Progress>(progress_token(request), notify);
  const auto drop = [reply] { reply({"", 0, true}); };
  const auto work = [this, tool, arguments = std::move(arguments), id = request.id, stateless,
                     cancellation, reply, progress, drop] {
    agent::ToolContext context;
    context.workshop = workshop_.get();
    context.proposer = "mcp";
    context.call.cancelled = [cancellation] { return cancellation->cancelled(); };
    context.call.progress = [progress](double done, double total, const std::string& what) {
      progress->tell(done, total, what);
    };
    base::debug(fmt::format("mcp: {}", tool->name));
    const auto result = agent::call_tool(context, tool->name, arguments);
    base::end_progress();
    if (cancellation->cancelled()) return drop();
    reply({reply_text(id, finished(tool_result(result), stateless, -1)), 0});
  };
  executor_->post(cancellation, work, drop);
}

void Server::handle(const Message& request, const CancellationRef& cancellation, const Reply& reply,
                    const Notify& notify) {
  const auto refuse = [&](const RpcError& error) {
    reply({error_text(request.id, error), error.code});
  };
  const bool stateless = is_stateless(request);
  try {
    if (stateless) {
      if (const auto error = check_stateless(request)) return refuse(*error);
    }
    if (request.method == "tools/call")
      return call_tool(request, stateless, cancellation, reply, notify);
    const Direct direct = answer_directly(request, stateless);
    if (direct.error) return refuse(*direct.error);
    reply({reply_text(request.id, *direct.result), 0});
  } catch (const std::exception& e) {
    refuse({kInternalError, e.what(), nullptr});
  }
}

}  // namespace kernelwright::mcp
