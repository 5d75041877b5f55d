// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kernelwright/runtime.h"
#include "referee/arena.h"

namespace kernelwright::referee::bench {

// Between the coordinator and a bench worker, over base::Channel: one request, one reply {"ok":
// true, ...} or {"ok": false, "error": one line} with "crashed" when the device's context is lost
// and "unable" when the worker has no device; the reply carries the request's "number". A worker
// serves one judgement: `load` once, then it locks itself in, then any of the others.

struct Load {  // descriptors: one built object per program
  struct Program {
    std::string json;
    // Buffers of program.json by name -> index among the region's inputs or outputs.
    std::map<std::string, int> inputs, outputs;
  };
  std::vector<Program> programs;
  int threads = 1;
  uint64_t flush_bytes = 0;  // rewritten before every timed call
};
struct Loaded {
  std::vector<int64_t> workspace_bytes;
};

struct Map {  // descriptors: the arena's segments
  int id = 0;
  bool writable = false;
  ArenaLayout layout;
  std::vector<std::string> labels;  // of the regions, for the report of a fault
};
struct Unmap {
  int id = 0;
};

struct TensorRef {
  int arena = -1, region = -1;
};
// Everything that one call of one program needs. States are copied from `from` to `to` before every
// call.
struct Binding {
  struct State {
    std::string name;
    TensorRef from, to;
  };
  int id = 0;
  int program = 0;
  std::vector<TensorRef> inputs, outputs;  // by index among the region's
  std::vector<std::pair<std::string, TensorRef>> weights;
  std::vector<State> states;
  std::vector<double> scalars;
};

struct Run {  // one judged call
  int binding = 0;
  int poison =
      0xff;  // byte that scratch is filled with; below 0: scratch stays as the last call left it
};
struct Ran {
  double ms = 0, prepare_ms = 0;
  bool prepared = false;
  bool sync_is_zero = true;
};

// Cold calls in turns: in every round each contender is called once, in an order that alternates;
// the content rotates over its bindings, which share weights.
struct Time {
  std::vector<std::vector<int>> contenders;  // binding ids
  int rounds = 1;
  int start = 0;  // which binding comes first
};
struct Timed {
  std::vector<std::vector<double>> ms;  // per contender, per round; on a GPU with the launch hidden
  std::vector<double> latency_ms;       // per contender: a call in the batch, launch included
  std::vector<int> last;                // binding of each contender's last call
};

// Warm calls back to back, which the coordinator bounds by its own clock.
struct Repeat {
  int binding = 0;
  int calls = 1;
};
struct Repeated {
  double ms = 0;  // of all calls
};

// A cold call step by step, for where its time goes: a claim that no verdict hangs on.
struct Profile {
  int binding = 0;
};
struct Profiled {
  std::vector<double> ms;  // program::step_names' order
  std::vector<kw_counts> counts;
};

nlohmann::json encode(const Load& message);
nlohmann::json encode(const Map& message);
nlohmann::json encode(const Unmap& message);
nlohmann::json encode(const Binding& message);
nlohmann::json encode(const Run& message);
nlohmann::json encode(const Time& message);
nlohmann::json encode(const Repeat& message);
nlohmann::json encode(const Loaded& message);
nlohmann::json encode(const Ran& message);
nlohmann::json encode(const Timed& message);
nlohmann::json encode(const Repeated& message);
nlohmann::json encode(const Profile& message);
nlohmann::json encode(const Profiled& message);

// The judged process may send anything: shapes and numbers are checked, kInput otherwise.
Status decode(const nlohmann::json& json, Load& message);
Status decode(const nlohmann::json& json, Map& message);
Status decode(const nlohmann::json& json, Unmap& message);
Status decode(const nlohmann::json& json, Binding& message);
Status decode(const nlohmann::json& json, Run& message);
Status decode(const nlohmann::json& json, Time& message);
Status decode(const nlohmann::json& json, Repeat& message);
Status decode(const nlohmann::json& json, Loaded& message);
Status decode(const nlohmann::json& json, Ran& message);
Status decode(const nlohmann::json& json, Timed& message);
Status decode(const nlohmann::json& json, Repeated& message);
Status decode(const nlohmann::json& json, Profile& message);
Status decode(const nlohmann::json& json, Profiled& message);

}  // namespace kernelwright::referee::bench
