// SPDX-License-Identifier: Apache-2.0
#include "agent/providers/http.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "agent/providers/curl_library.h"
#include "base/elapsed.h"

namespace kernelwright::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLongestRetryAfter = 1e6;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

std::string_view trimmed(std::string_view text) {
  const char* blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

bool is_loopback(const std::string& url) {
  const size_t host = url.find("://") + 3;
  const std::string rest = url.substr(host);
  return rest.starts_with("127.") || rest.starts_with("localhost") || rest.starts_with("[::1]");
}

// One transfer's state, seen by libcurl's callbacks.
struct Transfer {
  const HttpSink& sink;
  HttpOutcome outcome;
  Clock::time_point last_byte = Clock::now();
  bool stopped = false;
};

size_t on_header(char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.last_byte = Clock::now();
  const std::string_view line = trimmed({data, size});
  HttpOutcome& outcome = transfer.outcome;
  if (line.starts_with("HTTP/")) {
    // A new head: the one before was a proxy's or a 100.
    outcome.content_type.clear();
    outcome.retry_after_s = -1;
    const size_t space = line.find(' ');
    if (space != std::string_view::npos)
      std::from_chars(line.data() + space + 1, line.data() + line.size(), outcome.status);
    return size;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "content-type") {
    outcome.content_type = lower(trimmed(value.substr(0, value.find(';'))));
  } else if (name == "retry-after" && outcome.retry_after_s < 0) {
    outcome.retry_after_s = parse_retry_after(value, ::time(nullptr));
  } else if (name == "retry-after-ms") {
    const double ms = parse_retry_after(value, 0);
    if (ms >= 0) outcome.retry_after_s = ms / 1000;
  }
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.last_byte = Clock::now();
  if (!transfer.sink(transfer.outcome, {data, size})) {
    transfer.stopped = true;
    return 0;
  }
  return size;
}

// Handles of libcurl that go back in the right order.
class Session {
 public:
  explicit Session(const CurlLibrary& curl)
      : curl_(curl), easy_(curl.easy_init()), multi_(curl.multi_init()) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (added_) curl_.multi_remove_handle(multi_, easy_);
    if (easy_ != nullptr) curl_.easy_cleanup(easy_);
    if (multi_ != nullptr) curl_.multi_cleanup(multi_);
    curl_.slist_free_all(headers_);
  }

  bool set_up(const HttpPost& post, Transfer& transfer) {
    if (easy_ == nullptr || multi_ == nullptr) return false;
    for (const std::string& header : post.headers) {
      curl_slist* longer = curl_.slist_append(headers_, header.c_str());
      if (longer == nullptr) return false;
      headers_ = longer;
    }
    bool fine = true;
    const auto set = [&](CURLoption option, auto value) {
      fine = curl_.easy_setopt(easy_, option, value) == CURLE_OK && fine;
    };
    set(CURLOPT_URL, post.url.c_str());
    set(CURLOPT_HTTPHEADER, headers_);
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, post.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post.body.size()));
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(post.connect_s * 1000));
    // The numbers of CURLOPT_PROTOCOLS: newer names are not in every libcurl 4.
    set(static_cast<CURLoption>(CURLOPTTYPE_LONG + 181), long{CURLPROTO_HTTP | CURLPROTO_HTTPS});
    if (is_loopback(post.url)) set(CURLOPT_NOPROXY, "*");
    if (const char* bundle = std::getenv("SSL_CERT_FILE"); bundle != nullptr && *bundle != '\0')
      set(CURLOPT_CAINFO, bundle);
    added_ = fine && curl_.multi_add_handle(multi_, easy_) == CURLM_OK;
    return added_;
  }

  // True when libcurl is done; its verdict is then in `code`.
  bool step(CURLcode& code) {
    int running = 0;
    if (curl_.multi_perform(multi_, &running) != CURLM_OK) {
      code = CURLE_FAILED_INIT;
      return true;
    }
    int left = 0;
    while (const CURLMsg* message = curl_.multi_info_read(multi_, &left))
      if (message->msg == CURLMSG_DONE) {
        code = message->data.result;
        return true;
      }
    // Short, so that a cancellation is seen soon.
    curl_.multi_poll(multi_, nullptr, 0, 50, nullptr);
    return false;
  }

  bool request_sent() const {
    long bytes = 0;
    curl_.easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0;
  }

 private:
  const CurlLibrary& curl_;
  CURL* easy_;
  CURLM* multi_;
  curl_slist* headers_ = nullptr;
  bool added_ = false;
};

void judge_end(CURLcode code, const Session& session, const CurlLibrary& curl, Transfer& transfer) {
  HttpOutcome& outcome = transfer.outcome;
  using End = HttpOutcome::End;
  if (code == CURLE_OK) {
    outcome.end = End::kDone;
    return;
  }
  outcome.problem = curl.easy_strerror(code);
  if (transfer.stopped)
    outcome.end = End::kStopped;
  else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_ISSUER_ERROR)
    outcome.end = End::kUntrusted;
  else
    outcome.end = session.request_sent() ? End::kBroken : End::kUnreached;
}

}  // namespace

double parse_retry_after(std::string_view value, int64_t now) {
  double seconds = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size())
    return seconds >= 0 ? std::min(seconds, kLongestRetryAfter) : -1;
  std::tm parts{};
  const std::string text(value);
  const char* rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (rest == nullptr || *rest != '\0') return -1;
  return std::clamp(static_cast<double>(::timegm(&parts) - now), 0.0, kLongestRetryAfter);
}

Result<HttpOutcome> http_post(const HttpPost& post, const HttpSink& sink,
                              const CancelToken& cancel) {
  KW_TRY(const CurlLibrary* curl, CurlLibrary::get());
  Transfer transfer{sink, {}};
  Session session(*curl);
  if (!session.set_up(post, transfer))
    return fail(ErrorKind::kEnvironment, "libcurl refuses the request to " + post.url);
  const auto started = Clock::now();
  CURLcode code = CURLE_OK;
  while (!session.step(code)) {
    const auto stop = [&](HttpOutcome::End end, std::string problem) {
      transfer.outcome.end = end;
      transfer.outcome.problem = std::move(problem);
    };
    if (cancel.cancelled())
      stop(HttpOutcome::End::kCancelled, "cancelled");
    else if (base::seconds_since(started) > post.total_s)
      stop(HttpOutcome::End::kTimedOut, fmt::format("took longer than {:.0f} s", post.total_s));
    else if (base::seconds_since(transfer.last_byte) > post.idle_s)
      stop(HttpOutcome::End::kTimedOut, fmt::format("sent nothing for {:.0f} s", post.idle_s));
    else
      continue;
    return transfer.outcome;
  }
  judge_end(code, session, *curl, transfer);
  return transfer.outcome;
}

}  // namespace kernelwright::agent
