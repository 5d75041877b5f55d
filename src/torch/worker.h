// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/channel.h"
#include "base/result.h"
#include "base/shared_memory.h"
#include "base/subprocess.h"
#include "graph/graph.h"

namespace kernelwright::torch {

// What the user hands over, as given on the command line.
struct WorkloadSpec {
  std::string path;    // file.py, file.py:Class, package.module:Class, file.pt2
  std::string init;    // --init JSON, may be empty
  std::string inputs;  // --inputs spec or .pt file, may be empty
  std::string size;    // "cpu" or "gpu": which entry of SIZES overrides the file's constants
  std::string policy;  // "strict", ...
  std::string target;  // "cpu"
};

struct Imported {
  graph::Graph graph;
  std::filesystem::path graph_path;    // graph.json
  std::filesystem::path weights_path;  // weights.safetensors
  std::string name;                    // short name of the workload
  // Modules that the user's file imports from its own folder, relative to it.
  std::vector<std::string> neighbours;
};

// How inputs (and weights) of a draw are made; docs/numerics.md.
enum class DrawKind { kOwn, kNegative, kWide, kZeros, kConstant, kWeights, kExact };
const char* draw_kind_name(DrawKind kind);
const char* draw_kind_words(DrawKind kind);  // what the inputs then are, for a proposer

// One set of inputs with what is known of the right answer. `given` may be shown to a bench worker,
// `expected` never leaves the coordinator.
struct Draw {
  struct Tensor {
    graph::TensorType type;  // contiguous
    size_t offset = 0;       // in `given` or `expected`, multiple of 64
  };
  struct Answer {
    std::string name;  // state name; empty for an output
    int index = -1;    // output index within the region
    Tensor eager, oracle /* f64 */, scale /* f64, in absolute units */,
        mask /* u8, 1 = not judged */;
    bool exact_bits = false;  // must equal eager bit for bit (moves, integer results)
    bool index_output =
        false;  // argmax, top-k: equal to oracle or eager; near ties are masked (docs/numerics.md)
  };
  DrawKind kind = DrawKind::kOwn;
  uint64_t seed = 0;
  bool exact = false;  // small integers: |difference| < 0.25
  bool ill_conditioned = false;
  double median_relative_noise = 0;
  std::vector<Tensor> inputs;
  std::vector<std::pair<std::string, Tensor>> weights;  // all of the region's, in region order
  std::vector<std::pair<std::string, Tensor>> states;   // before the call
  std::vector<Answer> answers;
  std::vector<double> scalars;
  base::SharedMemory given;
  base::SharedMemory expected;
};

// Memory of a GPU that the coordinator owns: allocations of their own, exported as descriptors.
struct DeviceMemory {
  int id = 0;
  int device = 0;
  std::vector<uint64_t> segments;  // bytes
};
struct DevicePlace {
  int memory = 0, segment = 0;
  uint64_t offset = 0;
};
// Where the parts of a draw, or of the drop-in's answers, lie in such memory.
struct DevicePlaces {
  struct Answer {
    std::string name;  // state name; empty for an output
    int index = -1;
    DevicePlace eager, delta, scale;  // draws: docs/torch-worker.md
    DevicePlace out;                  // the drop-in's answers
  };
  std::vector<DevicePlace> inputs;
  bool write_weights = true;  // false: they lie there already, from an earlier draw
  std::vector<std::pair<std::string, DevicePlace>> weights, states;
  std::vector<Answer> answers;
};
// What a draw in device memory says beside its content; answers in the order of the places.
struct DeviceDraw {
  bool exact = false, ill_conditioned = false;
  double median_relative_noise = 0;
  std::vector<double> scalars;
  std::vector<Draw::Answer> answers;  // name, index, exact_bits and index_output alone
};

// Milliseconds per call. On a GPU `ms` is device time, and `latency_ms` a few calls with the
// launch; on a CPU it is empty.
struct Samples {
  std::vector<double> ms, latency_ms;
};

// The drop-in's outputs and mutated states, in the order of the draw's answers.
struct ArtifactOutputs {
  base::SharedMemory memory;
  std::vector<size_t> offsets;  // in bytes
};

struct WorkerOptions {
  std::string python;              // interpreter; empty: found by find_python()
  int threads = 0;                 // 0: torch's own choice
  std::filesystem::path log_path;  // the worker's stderr
  bool warm_memory = true;         // allocator keeps freed memory: no page faults in timed calls
};

// The process that runs the user's module: exports, draws, eager and compiled baselines, fp64
// oracle, and (a separate instance) the drop-in. docs/torch-worker.md is the protocol. Every call
// has a deadline; a worker that dies gives kEnvironment with the last lines of its log. A Python
// error in the user's file is kInput with that error's last line and its place in the file.
class Worker {
 public:
  static Result<Worker> start(const WorkerOptions& options);

  const std::map<std::string, std::string>& versions() const { return versions_; }
  int threads() const { return threads_; }

  Result<Imported> import(const WorkloadSpec& spec, const std::filesystem::path& out_dir);
  Status set_regions(const graph::Graph& graph, const std::vector<graph::Region>& regions);
  // nullopt: this kind makes no sense for the region's input domain; why_skipped() tells more.
  Result<std::optional<Draw>> draw(const std::string& region, DrawKind kind, uint64_t seed);
  // Of the latest draw() or draw_on() that gave none, in one line.
  const std::string& why_skipped() const { return why_skipped_; }
  // Readies a baseline ("eager", "compile", "max-autotune"); false with a note when it does not
  // work here.
  struct BaselineReady {
    bool available = false;
    std::string note;
    double seconds = 0;  // compile time
  };
  Result<BaselineReady> prepare_baseline(const std::string& region, const std::string& name);
  // `calls` calls over fresh content, each after a cold flush of `flush_bytes`.
  Result<Samples> time_baseline(const std::string& region, const std::string& name, int calls,
                                size_t flush_bytes);

  // Draws on a GPU. Memory is mapped under its id until it is unmapped; at most 48 segments.
  Status map_memory(const DeviceMemory& memory, const std::vector<int>& fds);
  Status unmap_memory(const std::vector<int>& ids);
  // Gives memory that PyTorch only keeps back to the device.
  Status release_memory();
  Result<std::optional<DeviceDraw>> draw_on(const std::string& region, DrawKind kind, uint64_t seed,
                                            const DevicePlaces& places);
  // The drop-in's answers on a draw in device memory, written to the answers' `out`.
  Status run_artifact_on(DrawKind kind, uint64_t seed, const std::vector<double>& scalars,
                         const DevicePlaces& places);

  // The final check, in a worker of its own: original and drop-in of one artifact side by side.
  struct ArtifactOpened {
    bool generated = false;  // false: the artifact kept the baseline
    double prepare_ms = 0;
  };
  Result<ArtifactOpened> open_artifact(const std::filesystem::path& artifact,
                                       const WorkloadSpec& spec);
  // The drop-in's outputs on a draw of region "whole", checked to be of the types of draw.answers.
  Result<ArtifactOutputs> run_artifact(const Draw& draw);
  // Alternating samples in ms per contender: "original", "compile" (when asked and available),
  // "dropin".
  struct ArtifactTimes {
    std::map<std::string, std::vector<double>> ms;
    std::map<std::string, std::vector<double>> latency_ms;  // on a GPU
    std::vector<double> memory_ms;                          // of the traffic alone, on a CPU
  };
  // Bytes that a call must move. Where given, the same traffic without work is timed as well.
  struct Traffic {
    int64_t read = 0, written = 0;
  };
  Result<ArtifactTimes> time_artifact(double seconds, size_t flush_bytes, bool fresh_memory,
                                      bool with_compile, Traffic traffic = {0, 0});

  void stop();

 private:
  class Caller;  // worker.cpp: one request and its reply

  base::ChildProcess process_;
  base::Channel channel_;
  std::filesystem::path log_path_;
  std::map<std::string, std::string> versions_;
  int threads_ = 0;
  std::string why_skipped_;
};

// Interpreter that has PyTorch 2.11 or later: KERNELWRIGHT_PYTHON, the project's .venv, the
// environment that the package was installed into, python3 on PATH.
Result<std::string> find_python();
// Folder that holds the `kernelwright` Python package: KERNELWRIGHT_PYTHON_DIR, beside the binary
// when installed, else the checkout's.
Result<std::filesystem::path> python_package_dir();

}  // namespace kernelwright::torch
