// SPDX-License-Identifier: Apache-2.0
#include "torch/worker.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "base/check.h"
#include "base/file.h"
#include "base/message.h"
#include "graph/import.h"

extern char** environ;

namespace kernelwright::torch {
namespace {

using Json = nlohmann::json;

// Seconds a request may take.
constexpr double kHelloS = 180, kImportS = 600, kShortS = 60, kDrawS = 600, kBaselineS = 1800,
                 kTimeS = 600, kArtifactS = 900;
constexpr int kChildFd = 3;

// What the child may know of our surroundings: no keys, no tokens.
bool may_pass(std::string_view name) {
  constexpr std::array kNames = {"PATH",
                                 "HOME",
                                 "LANG",
                                 "LANGUAGE",
                                 "TZ",
                                 "TMPDIR",
                                 "USER",
                                 "LOGNAME",
                                 "SHELL",
                                 "PYTHONPATH",
                                 "PYTHONHOME",
                                 "LD_LIBRARY_PATH",
                                 "LD_PRELOAD",
                                 "VIRTUAL_ENV",
                                 "CC",
                                 "CXX",
                                 "CUDA_HOME",
                                 "CUDA_VISIBLE_DEVICES",
                                 "CUDA_DEVICE_ORDER",
                                 "ASAN_OPTIONS",
                                 "NO_COLOR"};
  constexpr std::array kPrefixes = {"LC_",   "XDG_",      "OMP_",  "MKL_",  "KMP_",
                                    "GOMP_", "OPENBLAS_", "DNNL_", "TORCH", "KERNELWRIGHT_"};
  for (const char* secret : {"KEY", "TOKEN", "SECRET", "PASSWORD"})
    if (name.find(secret) != std::string_view::npos) return false;
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* known) { return name == known; }) ||
         std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](const char* prefix) {
           return name.substr(0, std::string_view(prefix).size()) == prefix;
         });
}

std::vector<std::string> child_environment(const WorkerOptions& options,
                                           const std::filesystem::path& package,
                                           const std::filesystem::path& cache) {
  std::vector<std::string> out;
  std::string python_path = package.string();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (name == "PYTHONPATH") {
      if (text.size() > name.size() + 1)
        python_path += fmt::format(":{}", text.substr(name.size() + 1));
    } else if (may_pass(name) && name != "TORCHINDUCTOR_CACHE_DIR") {
      out.emplace_back(text);
    }
  }
  out.push_back("PYTHONPATH=" + python_path);
  out.push_back("PYTHONUNBUFFERED=1");
  out.push_back("PYTHONDONTWRITEBYTECODE=1");
  out.push_back("TORCHINDUCTOR_CACHE_DIR=" + (cache / "inductor").string());
  if (options.warm_memory) {
    // glibc keeps what was freed: a result lands in warm pages.
    out.emplace_back("MALLOC_MMAP_MAX_=0");
    out.emplace_back("MALLOC_TRIM_THRESHOLD_=1099511627776");
    out.emplace_back("MALLOC_TOP_PAD_=67108864");
  }
  return out;
}

// The last lines of the worker's log as one line, for the error of a worker that died.
std::string log_tail(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return "";
  const auto size = static_cast<std::streamoff>(in.tellg());
  in.seekg(std::max<std::streamoff>(0, size - 2048));
  std::string line;
  std::vector<std::string> lines;
  while (std::getline(in, line)) {
    line.erase(std::remove_if(line.begin(), line.end(), [](unsigned char c) { return c < 0x20; }),
               line.end());
    if (!line.empty()) lines.push_back(line.substr(0, 200));
  }
  if (lines.size() > 3) lines.erase(lines.begin(), lines.end() - 3);
  return fmt::format("{}", fmt::join(lines, " | "));
}

ErrorKind kind_from_name(const std::string& name) {
  if (name == "input") return ErrorKind::kInput;
  if (name == "environment") return ErrorKind::kEnvironment;
  return ErrorKind::kInternal;
}

tl::unexpected<Error> malformed(const std::string& op, const std::string& what) {
  return fail(ErrorKind::kInternal,
              fmt::format("torch worker: reply to {} is malformed: {}", op, what));
}

std::string text_or(const Json& json, const char* key, const std::string& fallback) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : fallback;
}

Error reported_error(const Json& body) {
  Error error{ErrorKind::kInternal, "torch worker: an error without a message", {}};
  const auto it = body.find("error");
  if (it == body.end() || !it->is_object()) return error;
  error.kind = kind_from_name(text_or(*it, "kind", ""));
  error.message = text_or(*it, "message", error.message).substr(0, 1000);
  if (const auto context = it->find("context"); context != it->end() && context->is_object())
    for (const auto& [key, value] : context->items())
      if (value.is_string()) error.with(key, value.get<std::string>());
  return error;
}

Json spec_json(const WorkloadSpec& spec) {
  return {{"path", spec.path}, {"init", spec.init},     {"inputs", spec.inputs},
          {"size", spec.size}, {"policy", spec.policy}, {"target", spec.target}};
}

// {dtype, shape, offset} inside `bytes` of memory.
Result<Draw::Tensor> parse_tensor(const Json& json, size_t bytes) {
  const auto bad = [](const char* what) { return fail(ErrorKind::kInternal, what); };
  if (!json.is_object()) return bad("a tensor is not an object");
  const auto dtype = graph::dtype_from_name(text_or(json, "dtype", ""));
  const auto shape = json.find("shape"), offset = json.find("offset");
  if (!dtype || shape == json.end() || !shape->is_array() || offset == json.end() ||
      !offset->is_number_integer())
    return bad("a tensor lacks dtype, shape or offset");
  Draw::Tensor tensor;
  tensor.type.dtype = *dtype;
  uint64_t size = graph::dtype_bytes(*dtype);
  for (const Json& extent : *shape) {
    if (!extent.is_number_integer() || extent.get<int64_t>() < 0)
      return bad("a tensor's shape is off");
    const auto value = extent.get<uint64_t>();
    if (value != 0 && size > (1ull << 48) / value) return bad("a tensor is too large");
    size *= value;
    tensor.type.shape.push_back(static_cast<int64_t>(value));
  }
  const int64_t at = offset->get<int64_t>();
  if (at < 0 || at % 64 != 0 || static_cast<uint64_t>(at) > bytes ||
      size > bytes - static_cast<uint64_t>(at))
    return bad("a tensor lies outside its memory");
  tensor.offset = static_cast<size_t>(at);
  return tensor;
}

Json tensor_json(const Draw::Tensor& tensor) {
  return {{"dtype", graph::dtype_name(tensor.type.dtype)},
          {"shape", tensor.type.shape},
          {"offset", tensor.offset}};
}

Json place_json(const DevicePlace& place) {
  return {place.memory, place.segment, place.offset};
}

Json places_json(const DevicePlaces& places, bool drop_in) {
  const auto named = [](const std::vector<std::pair<std::string, DevicePlace>>& list) {
    Json out = Json::object();
    for (const auto& [name, place] : list) out[name] = place_json(place);
    return out;
  };
  Json inputs = Json::array(), answers = Json::array();
  for (const DevicePlace& place : places.inputs) inputs.push_back(place_json(place));
  for (const DevicePlaces::Answer& answer : places.answers) {
    Json item;
    if (answer.name.empty())
      item["index"] = answer.index;
    else
      item["name"] = answer.name;
    if (drop_in) {
      item["out"] = place_json(answer.out);
    } else {
      item["eager"] = place_json(answer.eager);
      item["delta"] = place_json(answer.delta);
      item["scale"] = place_json(answer.scale);
    }
    answers.push_back(std::move(item));
  }
  return {{"inputs", std::move(inputs)},
          {"weights", places.write_weights ? named(places.weights) : Json()},
          {"states", named(places.states)},
          {"answers", std::move(answers)}};
}

using Named = std::vector<std::pair<std::string, Draw::Tensor>>;

Result<Named> parse_named(const Json& list, size_t bytes) {
  Named out;
  for (const Json& item : list) {
    KW_TRY(Draw::Tensor tensor, parse_tensor(item, bytes));
    out.emplace_back(item.at("name").get<std::string>(), std::move(tensor));
  }
  return out;
}

Json named_json(const Named& named) {
  Json out = Json::array();
  for (const auto& [name, tensor] : named) {
    Json item = tensor_json(tensor);
    item["name"] = name;
    out.push_back(std::move(item));
  }
  return out;
}

Result<Draw::Answer> parse_answer(const Json& json, size_t bytes) {
  Draw::Answer answer;
  if (json.contains("index"))
    answer.index = json.at("index").get<int>();
  else
    answer.name = json.at("name").get<std::string>();
  KW_TRY(answer.eager, parse_tensor(json.at("eager"), bytes));
  KW_TRY(answer.oracle, parse_tensor(json.at("oracle"), bytes));
  KW_TRY(answer.scale, parse_tensor(json.at("scale"), bytes));
  KW_TRY(answer.mask, parse_tensor(json.at("mask"), bytes));
  const auto& shape = answer.eager.type.shape;
  if (answer.oracle.type.dtype != graph::DType::kF64 ||
      answer.scale.type.dtype != graph::DType::kF64 ||
      answer.mask.type.dtype != graph::DType::kU8 || answer.oracle.type.shape != shape ||
      answer.scale.type.shape != shape || answer.mask.type.shape != shape)
    return fail(ErrorKind::kInternal, "an answer's parts do not fit together");
  answer.exact_bits = json.at("exact_bits").get<bool>();
  answer.index_output = json.at("index_output").get<bool>();
  return answer;
}

// Everything but the two memories. Throws Json::exception on a wrong shape.
Result<Draw> parse_draw(const Json& json, DrawKind kind, uint64_t seed, size_t given,
                        size_t expected) {
  Draw draw;
  draw.kind = kind;
  draw.seed = seed;
  draw.exact = json.at("exact").get<bool>();
  draw.ill_conditioned = json.at("ill_conditioned").get<bool>();
  draw.median_relative_noise = json.at("median_relative_noise").get<double>();
  draw.scalars = json.at("scalars").get<std::vector<double>>();
  for (const Json& item : json.at("inputs")) {
    KW_TRY(Draw::Tensor tensor, parse_tensor(item, given));
    draw.inputs.push_back(std::move(tensor));
  }
  KW_TRY(draw.weights, parse_named(json.at("weights"), given));
  KW_TRY(draw.states, parse_named(json.at("states"), given));
  for (const Json& item : json.at("answers")) {
    KW_TRY(Draw::Answer answer, parse_answer(item, expected));
    draw.answers.push_back(std::move(answer));
  }
  return draw;
}

Result<base::SharedMemory> map_reply(base::UniqueFd& fd, size_t bytes) {
  return base::SharedMemory::map(std::move(fd), bytes, base::SharedMemory::Access::kRead);
}

// Runs `parse`, and gives what it throws on a reply of the wrong shape as an Error.
template <class Function>
auto guarded(const std::string& op, Function&& parse) -> decltype(parse()) {
  try {
    return parse();
  } catch (const Json::exception& error) {
    return malformed(op, error.what());
  }
}

// Whether the worker gave no draw, and why.
bool skipped(const Json& reply, std::string& why) {
  if (!reply.contains("skipped")) return false;
  why = reply.at("skipped").is_string() ? reply.at("skipped").get<std::string>() : "";
  return true;
}

}  // namespace

const char* draw_kind_name(DrawKind kind) {
  constexpr std::array kNames = {"own",      "negative", "wide", "zeros",
                                 "constant", "weights",  "exact"};
  return kNames.at(static_cast<size_t>(kind));
}

const char* draw_kind_words(DrawKind kind) {
  constexpr std::array kWords = {
      "as get_inputs() makes them", "all negative",  "of many magnitudes", "all zero",
      "all of one value",           "other weights", "small integers"};
  return kWords.at(static_cast<size_t>(kind));
}

// One request and its reply. A worker that is gone or late is kEnvironment, and is not used again.
class Worker::Caller {
 public:
  static Result<base::Channel::Message> call(Worker& worker, const std::string& op, Json request,
                                             double deadline_s, const std::vector<int>& fds = {}) {
    if (!worker.channel_.open())
      return fail(ErrorKind::kEnvironment, "the torch worker is not running");
    request["op"] = op;
    if (Status sent = worker.channel_.send(request, fds); !sent)
      return gone(worker, op, sent.error(), deadline_s);
    auto reply =
        worker.channel_.receive(std::chrono::milliseconds(static_cast<int64_t>(deadline_s * 1000)));
    if (!reply) return gone(worker, op, reply.error(), deadline_s);
    const auto ok = reply->body.find("ok");
    if (!reply->body.is_object() || ok == reply->body.end() || !ok->is_boolean())
      return malformed(op, "no \"ok\"");
    if (!ok->get<bool>()) return fail(reported_error(reply->body));
    return reply;
  }

 private:
  static tl::unexpected<Error> gone(Worker& worker, const std::string& op, const Error& error,
                                    double deadline_s) {
    Error out{ErrorKind::kEnvironment, "", {}};
    if (error.message == "timed out") {
      out.message =
          fmt::format("the torch worker took longer than {:.0f} s for {}", deadline_s, op);
    } else if (error.message == "closed") {
      auto outcome = worker.process_.wait_for(std::chrono::milliseconds(2000));
      std::string how = "closed its connection";
      if (outcome && outcome->end == base::ProcessOutcome::End::kSignaled)
        how = fmt::format("died of signal {}{}", outcome->code,
                          outcome->code == 9 ? " (out of memory?)" : "");
      else if (outcome)
        how = fmt::format("ended with exit code {}", outcome->code);
      out.message = fmt::format("the torch worker {} during {}", how, op);
    } else {
      out.message = fmt::format("torch worker: {} during {}", error.message, op);
    }
    if (std::string tail = log_tail(worker.log_path_); !tail.empty()) out.with("log", tail);
    worker.channel_.close();
    worker.process_.kill();
    return fail(std::move(out));
  }
};

Result<Worker> Worker::start(const WorkerOptions& options) {
  std::string python = options.python;
  if (python.empty()) {
    KW_TRY(python, find_python());
  }
  KW_TRY(const auto package, python_package_dir());
  KW_TRY(const auto cache, base::cache_dir());
  KW_TRY(auto pair, base::Channel::create_pair());
  base::ProcessSpec spec;
  spec.argv = {python, "-m", "kernelwright.worker", "--fd", std::to_string(kChildFd)};
  spec.env = child_environment(options, package, cache);
  spec.inherit_fds = {{pair.second.get(), kChildFd}};
  spec.log_path = options.log_path.string();
  Worker worker;
  worker.channel_ = std::move(pair.first);
  worker.log_path_ = options.log_path;
  KW_TRY(worker.process_, base::ChildProcess::spawn(spec));
  pair.second = base::UniqueFd();
  KW_TRY(auto reply, Caller::call(worker, "hello", {{"threads", options.threads}}, kHelloS));
  KW_CHECK_OK(guarded("hello", [&]() -> Status {
    worker.versions_ = reply.body.at("versions").get<std::map<std::string, std::string>>();
    worker.threads_ = reply.body.at("threads").get<int>();
    if (worker.threads_ < 1) return malformed("hello", "no threads");
    return {};
  }));
  return worker;
}

Result<Imported> Worker::import(const WorkloadSpec& spec, const std::filesystem::path& out_dir) {
  Json request = spec_json(spec);
  request["out"] = out_dir.string();
  KW_TRY(auto reply, Caller::call(*this, "import", std::move(request), kImportS));
  Imported imported;
  KW_CHECK_OK(guarded("import", [&]() -> Status {
    imported.graph_path = reply.body.at("graph").get<std::string>();
    imported.weights_path = reply.body.at("weights").get<std::string>();
    imported.name = reply.body.at("name").get<std::string>();
    imported.neighbours = reply.body.at("neighbours").get<std::vector<std::string>>();
    return {};
  }));
  KW_TRY(imported.graph, graph::read_graph(imported.graph_path));
  return imported;
}

Status Worker::set_regions(const graph::Graph& graph, const std::vector<graph::Region>& regions) {
  Json list = Json::array();
  for (const graph::Region& region : regions) {
    const auto names = [&](const std::vector<int>& ids) {
      Json out = Json::array();
      for (int id : ids) out.push_back(graph.value(id).name);
      return out;
    };
    Json nodes = Json::array(), mutations = Json::array();
    for (int node : region.nodes) nodes.push_back(graph.nodes.at(static_cast<size_t>(node)).name);
    for (const graph::Mutation& mutation : region.mutations)
      mutations.push_back(
          {{"name", mutation.weight_name}, {"value", graph.value(mutation.value).name}});
    list.push_back({{"id", region.id},
                    {"whole", region.whole},
                    {"nodes", std::move(nodes)},
                    {"inputs", names(region.inputs)},
                    {"weights", names(region.weights)},
                    {"outputs", names(region.outputs)},
                    {"mutations", std::move(mutations)}});
  }
  KW_TRY([[maybe_unused]] auto reply,
         Caller::call(*this, "regions", {{"regions", std::move(list)}}, kShortS));
  return {};
}

Result<std::optional<Draw>> Worker::draw(const std::string& region, DrawKind kind, uint64_t seed) {
  KW_TRY(
      auto reply,
      Caller::call(*this, "draw",
                   {{"region", region}, {"kind", draw_kind_name(kind)}, {"seed", seed}}, kDrawS));
  if (skipped(reply.body, why_skipped_)) return std::optional<Draw>();
  if (reply.fds.size() != 2) return malformed("draw", "two descriptors are expected");
  return guarded("draw", [&]() -> Result<std::optional<Draw>> {
    const Json& json = reply.body.at("draw");
    const auto given = json.at("given_bytes").get<size_t>(),
               expected = json.at("expected_bytes").get<size_t>();
    auto parsed = parse_draw(json, kind, seed, given, expected);
    if (!parsed) return malformed("draw", parsed.error().message);
    KW_TRY(parsed->given, map_reply(reply.fds[0], given));
    KW_TRY(parsed->expected, map_reply(reply.fds[1], expected));
    return std::optional<Draw>(std::move(*parsed));
  });
}

Status Worker::map_memory(const DeviceMemory& memory, const std::vector<int>& fds) {
  Json request = {{"id", memory.id}, {"device", memory.device}, {"segments", memory.segments}};
  KW_TRY([[maybe_unused]] auto reply, Caller::call(*this, "map", std::move(request), kShortS, fds));
  return {};
}

Status Worker::unmap_memory(const std::vector<int>& ids) {
  KW_TRY([[maybe_unused]] auto reply, Caller::call(*this, "unmap", {{"ids", ids}}, kShortS));
  return {};
}

Status Worker::release_memory() {
  KW_TRY([[maybe_unused]] auto reply, Caller::call(*this, "release", Json::object(), kShortS));
  return {};
}

Result<std::optional<DeviceDraw>> Worker::draw_on(const std::string& region, DrawKind kind,
                                                  uint64_t seed, const DevicePlaces& places) {
  Json request = {{"region", region},
                  {"kind", draw_kind_name(kind)},
                  {"seed", seed},
                  {"places", places_json(places, false)}};
  KW_TRY(auto reply, Caller::call(*this, "draw", std::move(request), kDrawS));
  if (skipped(reply.body, why_skipped_)) return std::optional<DeviceDraw>();
  return guarded("draw", [&]() -> Result<std::optional<DeviceDraw>> {
    const Json& json = reply.body.at("draw");
    DeviceDraw draw;
    draw.exact = json.at("exact").get<bool>();
    draw.ill_conditioned = json.at("ill_conditioned").get<bool>();
    draw.median_relative_noise = json.at("median_relative_noise").get<double>();
    draw.scalars = json.at("scalars").get<std::vector<double>>();
    const Json& answers = json.at("answers");
    if (answers.size() != places.answers.size()) return malformed("draw", "wrong count of answers");
    for (size_t i = 0; i < answers.size(); ++i) {
      Draw::Answer answer;
      answer.name = answers.at(i).value("name", "");
      answer.index = answers.at(i).value("index", -1);
      if (answer.name != places.answers[i].name ||
          (answer.name.empty() && answer.index != places.answers[i].index))
        return malformed("draw", "answers in another order than asked for");
      answer.exact_bits = answers.at(i).at("exact_bits").get<bool>();
      answer.index_output = answers.at(i).at("index_output").get<bool>();
      draw.answers.push_back(std::move(answer));
    }
    return std::optional<DeviceDraw>(std::move(draw));
  });
}

Status Worker::run_artifact_on(DrawKind kind, uint64_t seed, const std::vector<double>& scalars,
                               const DevicePlaces& places) {
  Json request = {{"draw",
                   {{"kind", draw_kind_name(kind)},
                    {"seed", seed},
                    {"scalars", scalars},
                    {"places", places_json(places, true)}}}};
  KW_TRY([[maybe_unused]] auto reply,
         Caller::call(*this, "artifact_run", std::move(request), kDrawS));
  return {};
}

Result<Worker::BaselineReady> Worker::prepare_baseline(const std::string& region,
                                                       const std::string& name) {
  KW_TRY(auto reply,
         Caller::call(*this, "baseline", {{"region", region}, {"name", name}}, kBaselineS));
  return guarded("baseline", [&]() -> Result<BaselineReady> {
    return BaselineReady{reply.body.at("available").get<bool>(),
                         reply.body.at("note").get<std::string>(),
                         reply.body.at("seconds").get<double>()};
  });
}

Result<Samples> Worker::time_baseline(const std::string& region, const std::string& name, int calls,
                                      size_t flush_bytes) {
  Json request = {
      {"region", region}, {"name", name}, {"calls", calls}, {"flush_bytes", flush_bytes}};
  KW_TRY(auto reply, Caller::call(*this, "time", std::move(request), kTimeS));
  return guarded("time", [&]() -> Result<Samples> {
    Samples samples;
    samples.ms = reply.body.at("ms").get<std::vector<double>>();
    samples.latency_ms = reply.body.value("latency_ms", std::vector<double>());
    if (samples.ms.size() != static_cast<size_t>(std::max(0, calls)))
      return malformed("time", "wrong count of samples");
    return samples;
  });
}

Result<Worker::ArtifactOpened> Worker::open_artifact(const std::filesystem::path& artifact,
                                                     const WorkloadSpec& spec) {
  Json request = spec_json(spec);
  request["artifact"] = artifact.string();
  KW_TRY(auto reply, Caller::call(*this, "artifact_open", std::move(request), kImportS));
  return guarded("artifact_open", [&]() -> Result<ArtifactOpened> {
    return ArtifactOpened{reply.body.at("generated").get<bool>(),
                          reply.body.at("prepare_ms").get<double>()};
  });
}

Result<ArtifactOutputs> Worker::run_artifact(const Draw& draw) {
  Json answers = Json::array(), inputs = Json::array();
  for (const auto& tensor : draw.inputs) inputs.push_back(tensor_json(tensor));
  for (const auto& answer : draw.answers)
    answers.push_back(answer.index >= 0 ? Json{{"index", answer.index}}
                                        : Json{{"name", answer.name}});
  Json request = {{"draw",
                   {{"kind", draw_kind_name(draw.kind)},
                    {"seed", draw.seed},
                    {"inputs", std::move(inputs)},
                    {"weights", named_json(draw.weights)},
                    {"states", named_json(draw.states)},
                    {"scalars", draw.scalars},
                    {"answers", std::move(answers)}}}};
  KW_TRY(auto reply,
         Caller::call(*this, "artifact_run", std::move(request), kDrawS, {draw.given.fd()}));
  if (reply.fds.size() != 1) return malformed("artifact_run", "one descriptor is expected");
  return guarded("artifact_run", [&]() -> Result<ArtifactOutputs> {
    ArtifactOutputs out;
    const auto bytes = reply.body.at("bytes").get<size_t>();
    const Json& tensors = reply.body.at("tensors");
    if (tensors.size() != draw.answers.size())
      return malformed("artifact_run", "wrong count of tensors");
    for (size_t i = 0; i < tensors.size(); ++i) {
      auto tensor = parse_tensor(tensors.at(i), bytes);
      if (!tensor) return malformed("artifact_run", tensor.error().message);
      const auto &got = tensor->type, &wanted = draw.answers[i].eager.type;
      if (got.dtype != wanted.dtype || got.shape != wanted.shape)
        return malformed("artifact_run",
                         fmt::format("output {} is {}, expected {}", i, got.text(), wanted.text()));
      out.offsets.push_back(tensor->offset);
    }
    KW_TRY(out.memory, map_reply(reply.fds[0], bytes));
    return out;
  });
}

Result<Worker::ArtifactTimes> Worker::time_artifact(double seconds, size_t flush_bytes,
                                                    bool fresh_memory, bool with_compile,
                                                    Traffic traffic) {
  Json request = {{"seconds", seconds},           {"flush_bytes", flush_bytes},
                  {"fresh_memory", fresh_memory}, {"with_compile", with_compile},
                  {"read_bytes", traffic.read},   {"written_bytes", traffic.written}};
  KW_TRY(auto reply,
         Caller::call(*this, "artifact_time", std::move(request), kArtifactS + 3 * seconds));
  return guarded("artifact_time", [&]() -> Result<ArtifactTimes> {
    using Times = std::map<std::string, std::vector<double>>;
    return ArtifactTimes{reply.body.at("ms").get<Times>(), reply.body.value("latency_ms", Times()),
                         reply.body.value("memory_ms", std::vector<double>())};
  });
}

void Worker::stop() {
  if (!channel_.open()) return;
  if (channel_.send(Json{{"op", "stop"}})) (void)process_.wait_for(std::chrono::milliseconds(3000));
  channel_.close();
  process_.kill();
}

}  // namespace kernelwright::torch
