// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "program/program.h"
#include "referee/arena.h"
#include "referee/draw_source.h"
#include "referee/elements.h"

namespace kernelwright::referee {

// A draw made ready for judging: what the judged process may see in frozen arenas, what is known of
// the answer out of its reach.
struct BankDraw {
  torch::DrawKind kind = torch::DrawKind::kOwn;
  bool ill_conditioned = false;
  std::vector<double> scalars;
  std::shared_ptr<Arena> given;    // inputs by index, then states before the call
  std::shared_ptr<Arena> weights;  // shared by draws with equal weights
  std::vector<int> input_regions;
  std::map<std::string, int> state_regions, weight_regions;

  struct Expected {
    std::string name;  // state name; empty: output `index`
    int index = -1;
    std::unique_ptr<Elements> elements;
    Distance eager;
    std::string label() const {
      return name.empty() ? "output " + std::to_string(index) : "state '" + name + "'";
    }
  };
  std::vector<Expected> answers;
  std::shared_ptr<void> expected;  // the memory that `answers` point into
};

struct DrawRequest {
  torch::DrawKind kind = torch::DrawKind::kOwn;
  uint64_t seed = 0;       // of the content
  uint64_t band_seed = 0;  // of the guard bands
  Flush flush = Flush::kEnd;
  const program::Interface* interface = nullptr;
  // The weights that most draws share; null before the first draw.
  std::shared_ptr<Arena> usual_weights;
  std::map<std::string, int> usual_regions;
};

// A tool that runs a bench worker and finds faults which leave the right answer
// (compute-sanitizer).
struct CheckTool {
  std::string name;                  // "memcheck"
  std::vector<std::string> command;  // what comes before the worker's; "{log}" is a file's path
  bool refuses = true;               // false: a finding is only noted
  // The first finding in the tool's log, "" when it found nothing, nullopt when it did not work.
  std::optional<std::string> (*first_finding)(const std::string& log) = nullptr;
};

// Where judged tensors lie: memory that the coordinator owns and other processes map, and who walks
// over it for the coordinator. One for the host, one per GPU.
class Space {
 public:
  virtual ~Space() = default;
  virtual Result<std::shared_ptr<Arena>> allocate(const std::string& name,
                                                  const std::vector<uint64_t>& tensor_bytes,
                                                  Flush flush, uint64_t seed) = 0;
  // nullptr: this kind makes no sense here. `eager` of the answers is left to the caller.
  virtual Result<std::unique_ptr<BankDraw>> draw(DrawSource& source,
                                                 const DrawRequest& request) = 0;
  // How many draws of a region may be held at a time beside what else judging needs; at least 1.
  virtual int most_draws(const program::Interface& interface, int wanted) const = 0;
  virtual uint64_t default_flush_bytes() const = 0;
  // What a bench worker's environment needs, "K=V".
  virtual std::vector<std::string> worker_environment() const { return {}; }
  // The same for a worker that only has to tell which kernel of several crashed; empty: no use.
  virtual std::vector<std::string> careful_environment() const { return {}; }
  // Tools to run a bench worker under before a program is promoted, where installed.
  virtual std::vector<CheckTool> check_tools() const { return {}; }
  // Whether a bench worker's address space can be bounded.
  virtual bool bounds_memory() const { return true; }
  // Workers that are kept warm.
  virtual int spare_workers() const { return 1; }
  // How far a call's time, launched back to back, may lie above its claimed device time: what
  // launching costs, in ms for a plan of so many steps.
  virtual double launch_allowance_ms(int64_t steps) const { return 0; }
  // Begins to watch the device; the second call says what was seen since.
  virtual void watch() {}
  virtual std::optional<Conditions> watched() { return std::nullopt; }
};

std::unique_ptr<Space> host_space();
// The space of a target: "cpu", "cuda", "cuda:1". Fails where the device cannot be used.
Result<std::unique_ptr<Space>> open_space(const std::string& target);

// Labels of a draw's given arena: inputs by index, then states.
std::vector<std::string> given_labels(const program::Interface& interface);
std::vector<std::string> weight_labels(const std::vector<std::string>& names);

}  // namespace kernelwright::referee
