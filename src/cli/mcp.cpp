// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/log.h"
#include "cli/commands.h"
#include "mcp/http.h"
#include "mcp/server.h"
#include "mcp/stdio.h"
#include "search/budget.h"

namespace kernelwright::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenVariable = "KERNELWRIGHT_MCP_TOKEN";
constexpr size_t kLeastTokenBytes = 16;
constexpr double kPatience = 5;  // seconds that work may take to end

Result<fs::path> root_folder(const std::string& given) {
  std::error_code code;
  const fs::path root = fs::canonical(given.empty() ? fs::path(".") : fs::path(given), code);
  if (code || !fs::is_directory(root, code))
    return fail(ErrorKind::kUsage, fmt::format("--root: no folder {}", given));
  return root;
}

// From the environment, where no process of ours finds it afterwards; else a new one.
Result<std::string> take_token(bool& made) {
  const char* given = std::getenv(kTokenVariable);
  made = given == nullptr;
  if (given) {
    const std::string token = given;
    ::unsetenv(kTokenVariable);
    if (token.size() < kLeastTokenBytes)
      return fail(ErrorKind::kUsage,
                  fmt::format("{} is shorter than {} bytes", kTokenVariable, kLeastTokenBytes));
    return token;
  }
  std::random_device device;
  std::string token;
  for (int i = 0; i < 8; ++i) token += fmt::format("{:08x}", device());
  return token;
}

// Descriptors 0 and 1 are the protocol's: whatever else reads or prints finds others there.
struct Wire {
  int in = -1, out = -1;
};
Result<Wire> take_wire() {
  Wire wire;
  wire.in = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  wire.out = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (wire.in < 0 || wire.out < 0 || nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 ||
      ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    return fail(ErrorKind::kEnvironment, "mcp: standard input and output are not usable");
  ::close(nothing);
  return wire;
}

Status serve(const McpOptions& options, mcp::Server& server) {
  const std::function<bool()> interrupted = [] { return search::interrupted(); };
  if (options.http.empty()) {
    KW_TRY(const Wire wire, take_wire());
    mcp::serve_lines(server, wire.in, wire.out, interrupted);
    return {};
  }
  KW_TRY(mcp::HttpOptions http, mcp::parse_http_address(options.http));
  bool made = false;
  KW_TRY(http.token, take_token(made));
  return mcp::serve_http(
      server, http,
      [&](int port) {
        const std::string host = http.host == "::1" ? "[::1]" : http.host;
        fmt::print(stderr, "serving http://{}:{}/mcp\n", host, port);
        if (made) fmt::print(stderr, "bearer token {}\n", http.token);
        std::fflush(stderr);
      },
      interrupted);
}

}  // namespace

int cmd_mcp(const McpOptions& options, const GlobalOptions& global) {
  const auto root = root_folder(options.root);
  if (!root) return report_error(root.error(), global);
  std::signal(SIGPIPE, SIG_IGN);
  search::install_interrupt_handler();
  mcp::Server server({*root, KW_VERSION, nullptr});
  const auto served = serve(options, server);
  // A step that cannot be interrupted must not hold the client up; processes end with us.
  if (!server.stop(kPatience)) std::_Exit(served ? 0 : base::exit_code(served.error().kind));
  if (!served) return report_error(served.error(), global);
  return 0;
}

}  // namespace kernelwright::cli
