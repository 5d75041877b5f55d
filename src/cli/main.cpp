// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/settings.h"
#include "referee/bench_worker.h"
#include "target/cuda/nvrtc_process.h"
#include "target/cuda/probe.h"

namespace kernelwright::cli {

int report_error(const Error& error, const GlobalOptions& global) {
  base::end_progress();
  fmt::print(stderr, "error: {}\n", error.text());
  if (global.json) fmt::print("{{\"status\":\"error\",\"error\":{}}}\n", error.json_text());
  std::fflush(stdout);
  return base::exit_code(error.kind);
}

namespace {

using Run = std::function<int()>;

// "cpu", "gpu", or either with a seed: "cpu:7".
std::string wrong_size(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string seed = colon == std::string::npos ? "0" : text.substr(colon + 1);
  if ((kind == "cpu" || kind == "gpu") && !seed.empty() && seed.size() <= 19 &&
      seed.find_first_not_of("0123456789") == std::string::npos)
    return "";
  return "'" + text + "' is not cpu or gpu, with a seed or without, such as cpu:7";
}

void add_size(CLI::App* command, std::string& size) {
  command->add_option("--size", size, setting_help("size"))
      ->check(CLI::Validator(wrong_size, "SIZE"));
}

void add_workload(CLI::App* command, WorkloadOptions& options) {
  command
      ->add_option("workload", options.workload,
                   "file.py, file.py:Class, package.module:Class, or an exported program (.pt2)")
      ->required();
  command->add_option("--init", options.init, "constructor arguments as JSON");
  command->add_option("--inputs", options.inputs,
                      "input shapes such as 'f32[8,3,224,224],i64[8]', or a .pt file");
  add_size(command, options.size);
}

void add_target(CLI::App* command, std::string& target) {
  command->add_option("--target", target, setting_help("target"));
}

void add_run(CLI::App* command, int& threads, uint64_t& seed) {
  command->add_option("--threads", threads, setting_help("threads"))->check(CLI::Range(1, 4096));
  command->add_option("--seed", seed, setting_help("seed"))->check(CLI::NonNegativeNumber);
}

void add_judge(CLI::App* command, JudgeOptions& options) {
  add_target(command, options.target);
  command->add_option("--policy", options.policy, setting_help("policy"))
      ->check(CLI::IsMember({"strict", "tf32", "bf16", "fp16"}));
  add_run(command, options.threads, options.seed);
}

void add_search(CLI::App* command, SearchOptions& options) {
  command->add_option_function<std::string>(
      "--budget",
      [&options](const std::string& text) {
        const auto seconds = parse_duration(text);
        if (!seconds || *seconds <= 0)
          throw CLI::ValidationError("--budget", "'" + text + "' is not a time such as 90s or 2m");
        options.budget_s = *seconds;
      },
      setting_help("budget"));
  command->add_option("--proposer", options.proposers, setting_help("proposer"))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"expert", "llm"}));
  command->add_option("--model", options.models, setting_help("model"))->allow_extra_args(false);
  command->add_option("--hint", options.hints, "advice for the llm proposer: text or @FILE")
      ->allow_extra_args(false);
  command->add_option("--max-cost", options.max_cost_usd, setting_help("max_cost"))
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-tokens", options.max_tokens, setting_help("max_tokens"))
      ->check(CLI::NonNegativeNumber);
}

void add_optimize(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto options = std::make_shared<OptimizeOptions>();
  CLI::App* command = app.add_subcommand("optimize", "make a verified, faster drop-in");
  add_workload(command, options->workload);
  add_judge(command, options->judge);
  add_search(command, options->search);
  command->add_option("--out", options->out, "run folder (default: runs/<workload>-<time>)");
  command->add_flag("--resume", options->resume,
                    "go on with the run in --out: judges nothing again that was judged for it");
  command->add_option("--replay", options->replay,
                      "use the model replies of an earlier run's folder; no network");
  command->add_flag("--show-prompts", options->show_prompts,
                    "print on stderr what is sent to models, in full");
  command->callback(
      [&run, &global, options] { run = [=, &global] { return cmd_optimize(*options, global); }; });
}

void add_check(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command = app.add_subcommand("check", "judge one program for a workload");
  add_workload(command, options->workload);
  command->add_option("program", options->program_dir, "folder with program.json")->required();
  add_judge(command, options->judge);
  command->callback(
      [&run, &global, options] { run = [=, &global] { return cmd_check(*options, global); }; });
}

void add_verify(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand("verify", "judge an artifact again on this machine");
  command->add_option("artifact", options->artifact_dir, "artifact folder")->required();
  add_run(command, options->threads, options->seed);
  command->callback(
      [&run, &global, options] { run = [=, &global] { return cmd_verify(*options, global); }; });
}

void add_bench(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "optimize many workloads, with a summary");
  command->add_option("paths", options->paths, "workload files and folders")->required();
  add_size(command, options->size);
  add_judge(command, options->judge);
  add_search(command, options->search);
  command->add_option("--out", options->out, "results as JSON lines");
  command->add_flag("--resume", options->resume, "skip workloads that --out holds already");
  command
      ->add_option("--drawn", options->drawn,
                   "each workload at N sizes drawn from its DRAWS (see --size), by --seed")
      ->check(CLI::Range(0, 1000));
  command->add_option_function<std::string>(
      "--shard",
      [options](const std::string& text) {
        const auto shard = parse_shard(text);
        if (!shard)
          throw CLI::ValidationError("--shard", "'" + text + "' is not I/N with 1 <= I <= N");
        options->shard_index = shard->first;
        options->shard_count = shard->second;
      },
      "do the I-th of N parts, as I/N");
  command->callback(
      [&run, &global, options] { run = [=, &global] { return cmd_bench(*options, global); }; });
}

void add_explain(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command =
      app.add_subcommand("explain", "print graph, regions, and where the time must go");
  add_workload(command, options->workload);
  add_judge(command, options->judge);
  command->callback(
      [&run, &global, options] { run = [=, &global] { return cmd_explain(*options, global); }; });
}

void add_probe(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto options = std::make_shared<ProbeOptions>();
  CLI::App* command = app.add_subcommand("probe", "print what the machine can do at most");
  add_target(command, options->target);
  command->add_flag("--remeasure", options->remeasure,
                    "measure again instead of reading the cache");
  command->callback(
      [&run, &global, options] { run = [=, &global] { return cmd_probe(*options, global); }; });
}

void add_archive(CLI::App& app, const GlobalOptions& global, Run& run) {
  using Action = ArchiveOptions::Action;
  auto options = std::make_shared<ArchiveOptions>();
  CLI::App* group = app.add_subcommand("archive", "look at everything tried so far");
  group->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Action action) {
    CLI::App* command = group->add_subcommand(name, help);
    command->fallthrough();
    command->callback([&run, &global, options, action] {
      options->action = action;
      run = [=, &global] { return cmd_archive(*options, global); };
    });
    return command;
  };
  add("list", "runs, newest first", Action::kList);
  add("show", "the verdicts of a run, or one program with its verdicts", Action::kShow)
      ->add_option("id", options->id, "run id, or program id or its beginning")
      ->required();
  add("best", "the best program of a workload", Action::kBest)
      ->add_option("workload", options->id, "workload name")
      ->required();
  add("lessons", "what was learned, best gain first", Action::kLessons)
      ->add_flag("--export", options->as_json_lines, "one JSON object a line");
  CLI::App* out = add("export", "write a program out", Action::kExport);
  out->add_option("id", options->id, "program id, or its beginning; kernelbench: also a run's id")
      ->required();
  out->add_option("--format", options->format, "what to write (default: dir)")
      ->check(CLI::IsMember({"dir", "kernelbench"}));
  out->add_option("--out", options->out, "where to (default: the id)");
}

void add_cache(CLI::App& app, const GlobalOptions& global, Run& run) {
  using Action = CacheOptions::Action;
  auto options = std::make_shared<CacheOptions>();
  CLI::App* group = app.add_subcommand("cache", "the build cache");
  group->require_subcommand(1);
  for (const auto& [name, help, action] :
       {std::tuple{"show", "where it lies and how large it is", Action::kShow},
        std::tuple{"clear", "remove all of it", Action::kClear}}) {
    CLI::App* command = group->add_subcommand(name, help);
    command->fallthrough();
    command->callback([&run, &global, options, chosen = action] {
      options->action = chosen;
      run = [=, &global] { return cmd_cache(*options, global); };
    });
  }
}

void add_others(CLI::App& app, const GlobalOptions& global, Run& run) {
  auto report = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "write the report of a run again");
  command->add_option("run", report->run_dir, "run folder")->required();
  command->callback(
      [&run, &global, report] { run = [=, &global] { return cmd_report(*report, global); }; });

  auto mcp = std::make_shared<McpOptions>();
  command = app.add_subcommand("mcp", "serve coding agents (Model Context Protocol)");
  command->add_option(
      "--http", mcp->http,
      "serve HTTP on this loopback address, such as 127.0.0.1:8000, instead of stdio");
  command->add_option("--root", mcp->root,
                      "folder whose files clients may open (default: the current folder)");
  command->callback([&run, &global, mcp] { run = [=, &global] { return cmd_mcp(*mcp, global); }; });

  command = app.add_subcommand("doctor", "targets, toolchains, sandbox, keys that are set");
  command->callback([&run, &global] { run = [&global] { return cmd_doctor(global); }; });
}

// What is set and where; the source of docs/settings.md.
void add_settings(CLI::App& app, const GlobalOptions& global, const Settings& settings, Run& run) {
  auto markdown = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("settings", "what is set, and where");
  command->add_flag("--markdown", *markdown, "print docs/settings.md");
  command->callback([&run, &global, &settings, markdown] {
    run = [&global, &settings, markdown] {
      if (*markdown) {
        fmt::print("{}", settings_markdown());
        return 0;
      }
      nlohmann::json out = {{"path", settings.path()}, {"settings", nlohmann::json::object()}};
      for (const Setting& setting : settings_table()) {
        const auto value = settings.get(setting.name);
        if (global.json) {
          if (value)
            out["settings"][setting.name] = {{"value", value->text}, {"source", value->source}};
        } else if (value) {
          fmt::print("{:<10} {}  ({})\n", setting.name, value->text, value->source);
        } else {
          fmt::print("{:<10} default: {}\n", setting.name, setting.default_value);
        }
      }
      if (global.json)
        fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return 0;
    };
  });
}

// Options that were not given take what the environment or the settings file says, under the same
// checks.
void apply_settings(CLI::App& app, const Settings& settings) {
  for (CLI::App* command : app.get_subcommands()) {
    apply_settings(*command, settings);
    for (CLI::Option* option : command->get_options()) {
      if (option->count() > 0 || option->get_lnames().empty()) continue;
      std::string name = option->get_lnames()[0];
      for (char& c : name)
        if (c == '-') c = '_';
      bool known = false;
      for (const Setting& setting : settings_table())
        known |= setting.has_option && name == setting.name;
      const auto value = known ? settings.get(name) : std::nullopt;
      if (!value) continue;
      try {
        option->add_result(value->text);
        option->run_callback();
      } catch (const CLI::ParseError& e) {
        throw CLI::ValidationError(value->source + ": " + e.what());
      }
    }
  }
}

// `bench-worker --fd N`: a process of the referee, started by us and never by a person. It comes
// before all else, since it starts once per verdict.
std::optional<int> bench_worker_fd(int argc, char** argv) {
  if (argc != 4 || std::strcmp(argv[1], "bench-worker") != 0 || std::strcmp(argv[2], "--fd") != 0)
    return std::nullopt;
  return std::atoi(argv[3]);
}

bool wants_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--json") == 0) return true;
  return false;
}

int run_main(int argc, char** argv) {
  CLI::App app(
      "kernelwright takes a PyTorch module and a device and gives back a verified, faster drop-in.",
      "kernelwright");
  GlobalOptions global;
  Run run;
  Settings settings;
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("kernelwright ") + KW_VERSION);
  app.add_flag("--json", global.json, "print one JSON object on stdout, all else on stderr");
  app.add_flag("--verbose", global.verbose, "say more on stderr");
  app.add_flag("--quiet", global.quiet, "say only warnings and errors on stderr")
      ->excludes("--verbose");

  add_optimize(app, global, run);
  add_check(app, global, run);
  add_verify(app, global, run);
  add_bench(app, global, run);
  add_explain(app, global, run);
  add_probe(app, global, run);
  add_archive(app, global, run);
  add_cache(app, global, run);
  add_others(app, global, run);
  add_settings(app, global, settings, run);
  // Global options may follow the command.
  for (CLI::App* command : app.get_subcommands({})) command->fallthrough();

  try {
    app.parse(argc, argv);
    auto loaded = Settings::load();
    if (!loaded) return report_error(loaded.error(), global);
    settings = std::move(*loaded);
    settings.export_to_environment();
    apply_settings(app, settings);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    global.json = wants_json(argc, argv);
    const bool no_command = app.get_subcommands().empty();
    std::string what = e.what();
    if (no_command && argc > 1 && argv[1][0] != '-')
      what = fmt::format("unknown command '{}'", argv[1]);
    return report_error(Error{ErrorKind::kUsage, what + "; see kernelwright --help", {}}, global);
  }
  base::set_log_level(global.verbose ? base::LogLevel::kVerbose
                      : global.quiet ? base::LogLevel::kQuiet
                                     : base::LogLevel::kNormal);
  try {
    const int code = run();
    base::end_progress();
    return code;
  } catch (const std::exception& e) {
    return report_error(Error{ErrorKind::kInternal, e.what(), {}}, global);
  }
}

}  // namespace
}  // namespace kernelwright::cli

int main(int argc, char** argv) {
  // A file-size limit gives an error that is reported, as a full disk does.
  std::signal(SIGXFSZ, SIG_IGN);
  // Processes of the CUDA target, as bench-worker is one of the referee.
  if (argc > 1 && std::strcmp(argv[1], "cuda-compile") == 0)
    return kernelwright::target::cuda_compile_main(argc, argv);
  if (argc > 1 && std::strcmp(argv[1], "cuda-probe") == 0)
    return kernelwright::target::cuda_probe_main(argc, argv);
  if (const auto fd = kernelwright::cli::bench_worker_fd(argc, argv)) {
    return kernelwright::referee::bench_worker_main(*fd);
  }
  return kernelwright::cli::run_main(argc, argv);
}
