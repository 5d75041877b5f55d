// SPDX-License-Identifier: Apache-2.0
#include "mcp/http.h"

#include <fmt/core.h>

#ifdef KW_HTTP
#include <httplib.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/log.h"
#endif

namespace kernelwright::mcp {

#ifndef KW_HTTP

Status serve_http(Server&, const HttpOptions&, const std::function<void(int)>&,
                  const std::function<bool()>&) {
  return fail(ErrorKind::kEnvironment,
              "this build has no HTTP server (cpp-httplib): use kernelwright mcp on stdio");
}

#else

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr auto kLook = milliseconds(100);        // how often a waiting stream looks at its client
constexpr auto kKeepAlive = milliseconds(5000);  // a comment on a silent stream
constexpr size_t kMostSessions = 64;
constexpr const char* kSessionHeader = "Mcp-Session-Id";

// What one request's work says, in order; the answer is the last.
class Exchange {
 public:
  void event(std::string text) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(text));
    changed_.notify_all();
  }
  void answer(Server::Answer answer) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    changed_.notify_all();
  }
  // Waits for something to send.
  struct Next {
    std::optional<std::string> event;
    std::optional<Server::Answer> answer;  // only when no event is left
  };
  Next next(milliseconds patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [this] { return !events_.empty() || answer_; });
    Next out;
    if (!events_.empty()) {
      out.event = std::move(events_.front());
      events_.pop_front();
    } else {
      out.answer = answer_;
    }
    return out;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> events_;
  std::optional<Server::Answer> answer_;
};

// Clients that made the earlier handshake, and their requests at work. Their cancellations name
// ids, which are only unique within a session.
class Sessions {
 public:
  std::string begin() {
    std::array<unsigned char, 16> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return "";
    std::string id;
    for (const unsigned char byte : random) id += fmt::format("{:02x}", byte);
    std::lock_guard lock(mutex_);
    if (order_.size() == kMostSessions) {
      open_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(id);
    open_[id];
    return id;
  }
  bool known(const std::string& session) {
    std::lock_guard lock(mutex_);
    return open_.count(session) > 0;
  }
  bool end(const std::string& session) {
    std::lock_guard lock(mutex_);
    std::erase(order_, session);
    return open_.erase(session) > 0;
  }
  void add(const std::string& session, const std::string& id, CancellationRef cancellation) {
    std::lock_guard lock(mutex_);
    if (const auto it = open_.find(session); it != open_.end())
      it->second[id] = std::move(cancellation);
  }
  void remove(const std::string& session, const std::string& id) {
    std::lock_guard lock(mutex_);
    if (const auto it = open_.find(session); it != open_.end()) it->second.erase(id);
  }
  void cancel(const std::string& session, const std::string& id) {
    std::lock_guard lock(mutex_);
    const auto it = open_.find(session);
    if (it == open_.end()) return;
    if (const auto found = it->second.find(id); found != it->second.end()) found->second->cancel();
  }

 private:
  std::mutex mutex_;
  std::deque<std::string> order_;
  std::map<std::string, std::map<std::string, CancellationRef>> open_;
};

int status_of(int code) {
  switch (code) {
    case kParseError:
    case kInvalidRequest:
    case kInvalidParams:
    case kHeaderMismatch:
    case kUnsupportedVersion:
      return 400;
    case kMethodNotFound:
      return 404;
    default:
      return 200;
  }
}

bool same_text(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void send_json(httplib::Response& response, int status, const std::string& text) {
  response.status = status;
  response.set_content(text, "application/json");
}

void send_error(httplib::Response& response, int status, const json& id, int code,
                const std::string& message) {
  send_json(response, status, error_text(id, {code, message, nullptr}));
}

std::string sse(const std::string& text) {
  return "event: message\ndata: " + text + "\n\n";
}

// Header values that name what the body says, so that what stands between can route by them.
std::optional<std::string> header_mismatch(const httplib::Request& request,
                                           const Message& message) {
  const json& meta = message.params["_meta"];
  const json version = meta.value("io.modelcontextprotocol/protocolVersion", json());
  for (const char* name : {"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"})
    if (request.get_header_value_count(name) > 1)
      return fmt::format("{} header appears more than once", name);
  if (version != request.get_header_value("MCP-Protocol-Version"))
    return "MCP-Protocol-Version header does not match the request's protocol version";
  if (request.get_header_value("Mcp-Method") != message.method)
    return "Mcp-Method header does not match the request's method";
  const bool named = message.method == "tools/call" || message.method == "prompts/get";
  const json name =
      message.params.value(message.method == "resources/read" ? "uri" : "name", json());
  if ((named || message.method == "resources/read") && name.is_string() &&
      request.get_header_value("Mcp-Name") != name.get<std::string>())
    return "Mcp-Name header does not match the request's name or uri";
  return std::nullopt;
}

class Http {
 public:
  Http(Server& server, const HttpOptions& options, const std::function<bool()>& interrupted)
      : server_(server), options_(options), interrupted_(interrupted) {}

  Status run(const std::function<void(int)>& listening) {
    http_.set_payload_max_length(kMaxMessageBytes);
    http_.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          return admitted(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                             : httplib::Server::HandlerResponse::Handled;
        });
    http_.Post("/mcp", [this](const httplib::Request& request, httplib::Response& response) {
      post(request, response);
    });
    // There is nothing to tell clients beside what they ask.
    http_.Get("/mcp", [](const httplib::Request&, httplib::Response& response) {
      response.status = 405;
      response.set_header("Allow", "POST");
    });
    http_.Delete("/mcp", [this](const httplib::Request& request, httplib::Response& response) {
      response.status = sessions_.end(request.get_header_value(kSessionHeader)) ? 200 : 404;
    });
    const int port =
        options_.port == 0
            ? http_.bind_to_any_port(options_.host.c_str())
            : (http_.bind_to_port(options_.host.c_str(), options_.port) ? options_.port : -1);
    if (port < 0)
      return fail(ErrorKind::kEnvironment,
                  fmt::format("cannot listen on {}:{}", options_.host, options_.port));
    listening(port);
    std::atomic<bool> done{false};
    std::thread watch([&] {
      while (!done && !interrupted_()) std::this_thread::sleep_for(kLook);
      ending_ = true;
      http_.stop();
    });
    http_.listen_after_bind();
    done = true;
    watch.join();
    return {};
  }

 private:
  bool admitted(const httplib::Request& request, httplib::Response& response) const {
    // A web page in the user's browser must not reach us under another name.
    if (!is_loopback_host(request.get_header_value("Host")) ||
        (request.has_header("Origin") && !is_loopback_origin(request.get_header_value("Origin")))) {
      send_error(response, 403, nullptr, kInvalidRequest, "not from this machine");
      return false;
    }
    const std::string given = request.get_header_value("Authorization");
    if (!same_text(given, "Bearer " + options_.token)) {
      response.set_header("WWW-Authenticate", "Bearer");
      send_error(response, 401, nullptr, kInvalidRequest,
                 "the bearer token is missing or not the one that kernelwright mcp printed");
      return false;
    }
    return true;
  }

  void post(const httplib::Request& request, httplib::Response& response) {
    const Parsed parsed = parse_message(request.body);
    if (parsed.error) return send_json(response, 400, error_text(parsed.id, *parsed.error));
    if (!parsed.message) {  // an answer to nothing
      response.status = 202;
      return;
    }
    const Message& message = *parsed.message;
    const std::string session = request.get_header_value(kSessionHeader);
    if (!session.empty() && !sessions_.known(session))
      return send_error(response, 404, message.id, kInvalidRequest,
                        "the session has ended: initialize again");
    if (message.notification()) {
      const auto id = message.params.find("requestId");
      if (message.method == "notifications/cancelled" && id != message.params.end())
        sessions_.cancel(session, id->dump());
      response.status = 202;
      return;
    }
    if (is_stateless(message)) {
      if (const auto what = header_mismatch(request, message))
        return send_error(response, 400, message.id, kHeaderMismatch, *what);
    }
    serve(request, message, session, response);
  }

  void serve(const httplib::Request& request, const Message& message, const std::string& session,
             httplib::Response& response) {
    auto exchange = std::make_shared<Exchange>();
    const std::string id = message.id.dump();
    const auto reply = [this, exchange, session, id](Server::Answer answer) {
      sessions_.remove(session, id);
      exchange->answer(std::move(answer));
    };
    const auto notify = [exchange](std::string text) { exchange->event(std::move(text)); };
    auto cancellation = std::make_shared<Cancellation>();
    sessions_.add(session, id, cancellation);
    server_.handle(message, cancellation, reply, notify);
    const bool streams =
        message.method == "tools/call" &&
        request.get_header_value("Accept").find("text/event-stream") != std::string::npos;
    if (streams) return stream(exchange, cancellation, is_stateless(message), response);
    while (!ending_) {
      auto next = exchange->next(kLook);
      if (!next.answer) continue;
      const int status = is_stateless(message) ? status_of(next.answer->error_code) : 200;
      if (message.method == "initialize" && next.answer->error_code == 0) {
        if (const std::string begun = sessions_.begin(); !begun.empty())
          response.set_header(kSessionHeader, begun);
      }
      return send_json(response, status, next.answer->text);
    }
    cancellation->cancel();
    send_error(response, 503, message.id, kInternalError, "the server ends");
  }

  // Progress and the answer as events. A client of the stateless revision cancels by hanging up.
  void stream(const std::shared_ptr<Exchange>& exchange, const CancellationRef& cancellation,
              bool stateless, httplib::Response& response) {
    auto silent = std::make_shared<milliseconds>(0);
    response.set_header("Cache-Control", "no-cache");
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, exchange, cancellation, silent](size_t, httplib::DataSink& sink) {
          if (ending_ || !sink.is_writable()) return false;
          const auto next = exchange->next(kLook);
          std::string text;
          if (next.event) {
            text = sse(*next.event);
          } else if (next.answer) {
            if (!next.answer->dropped) text = sse(next.answer->text);
          } else if ((*silent += kLook) >= kKeepAlive) {
            text = ": still at work\n\n";
          }
          if (!text.empty()) *silent = milliseconds(0);
          if (!text.empty() && !sink.write(text.data(), text.size())) return false;
          if (next.answer) sink.done();
          return true;
        },
        [this, cancellation, stateless](bool) {
          // After the answer it has no effect.
          if (stateless || ending_) cancellation->cancel();
        });
  }

  Server& server_;
  const HttpOptions& options_;
  const std::function<bool()>& interrupted_;
  httplib::Server http_;
  Sessions sessions_;
  std::atomic<bool> ending_{false};
};

}  // namespace

Status serve_http(Server& server, const HttpOptions& options,
                  const std::function<void(int)>& listening,
                  const std::function<bool()>& interrupted) {
  return Http(server, options, interrupted).run(listening);
}

#endif

}  // namespace kernelwright::mcp
