// SPDX-License-Identifier: Apache-2.0
// RNN, LSTM and GRU: a loop over the steps of each layer (loop.h); what the input gives to all
// steps is a contraction in front of it.
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

constexpr int64_t kMostKept = int64_t{1} << 32;  // elements kept of all steps of one layer

enum class Cell : uint8_t { kTanh, kRelu, kLstm, kGru };

int64_t gates_of(Cell cell) {
  return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1;
}

Expr sigmoid(const Expr& x) {
  return binary(ExprOp::kDiv, constant(1),
                constant(1) + unary(ExprOp::kExp, unary(ExprOp::kNeg, x)));
}

// Extents and options of a call.
struct Recurrence {
  Cell cell = Cell::kTanh;
  int64_t steps = 0, batch = 0, hidden = 0, layers = 1, directions = 1;
  bool bias = true, batch_first = false;

  // Sizes from the types of input, initial state and weights (w_ih, w_hh, b_ih, b_hh of each
  // direction of each layer).
  static Result<Recurrence> of(const Node& node, Cell cell, const Shape& input, const Shape& state,
                               const std::vector<Shape>& weights) {
    Recurrence r;
    r.cell = cell;
    r.bias = node.bool_arg("has_biases", true);
    r.batch_first = node.bool_arg("batch_first", false);
    r.layers = node.int_arg("num_layers", 1);
    r.directions = node.bool_arg("bidirectional", false) ? 2 : 1;
    if (node.bool_arg("train", false) && node.float_arg("dropout", 0) > 0 && r.layers > 1)
      return op_error(node, "dropout is random");
    const size_t each = r.bias ? 4 : 2;
    if (input.size() != 3 || state.size() != 3 || r.layers < 1)
      return op_error(node, "wants a batch of sequences");
    if (weights.size() != each * static_cast<size_t>(r.layers * r.directions))
      return op_error(node, "projections are not supported");
    r.steps = input[r.batch_first ? 1 : 0];
    r.batch = input[r.batch_first ? 0 : 1];
    r.hidden = state[2];
    // Gates, what enters them, and the states.
    const double kept = static_cast<double>(r.steps) * static_cast<double>(r.batch) *
                        static_cast<double>(r.directions) * static_cast<double>(r.hidden) *
                        static_cast<double>(2 * gates_of(cell) + 2);
    if (kept > static_cast<double>(kMostKept))
      return op_error(node,
                      fmt::format("{} steps of {} x {} states keep {:.3g} elements, more "
                                  "than {}",
                                  r.steps, r.batch, r.directions * r.hidden, kept, kMostKept));
    const Shape recurrent = {gates_of(cell) * r.hidden, r.hidden};
    for (size_t i = 0; i < weights.size(); i += each) {
      const bool first = i / each < static_cast<size_t>(r.directions);
      const Shape entering = {gates_of(cell) * r.hidden,
                              first ? input[2] : r.directions * r.hidden};
      if (weights[i] != entering || weights[i + 1] != recurrent)
        return op_error(node, "weights do not fit the state");
    }
    return r;
  }

  Shape sequence() const {
    if (batch_first) return {batch, steps, directions * hidden};
    return {steps, batch, directions * hidden};
  }
  Shape state() const { return {layers * directions, batch, hidden}; }
};

class LayerStack {
 public:
  LayerStack(Lowering& lowering, const Recurrence& recurrence, std::vector<int> weights, int hidden,
             int cell)
      : lowering_(lowering),
        r_(recurrence),
        weights_(std::move(weights)),
        hidden_(hidden),
        cell_(cell),
        dtype_(accumulate_dtype(lowering.output_type().dtype)) {}

  void define(int input) {
    bool swapped = r_.batch_first;  // how the input of the layer lies
    std::vector<Direction> all;
    for (int64_t layer = 0; layer < r_.layers; ++layer) {
      std::vector<Direction> directions;
      for (int64_t d = 0; d < r_.directions; ++d) {
        const int64_t number = layer * r_.directions + d;
        directions.push_back({number, d == 1, entering(input, swapped, number)});
      }
      run(directions);
      all.insert(all.end(), directions.begin(), directions.end());
      const bool last = layer + 1 == r_.layers;
      swapped = false;
      if (last) {
        const bool batch_outside = r_.batch_first;
        lowering_.define(0, plain_stage(join(directions, axis(batch_outside ? 1 : 0),
                                             axis(batch_outside ? 0 : 1))));
      } else if (directions.size() == 1) {
        input = directions[0].hidden;
      } else {
        input = lowering_.define_temporary(
            {dtype_, {r_.steps, r_.batch, r_.directions * r_.hidden}, {}},
            plain_stage(join(directions, axis(0), axis(1))));
      }
    }
    lowering_.define(1, plain_stage(final_states(all, &Direction::hidden, 0, all.size())));
    if (r_.cell == Cell::kLstm)
      lowering_.define(2, plain_stage(final_states(all, &Direction::cell, 0, all.size())));
  }

 private:
  // One direction of one layer. States lie in the order in which steps are taken.
  struct Direction {
    int64_t number = 0;
    bool backward = false;
    int entering = -1, hidden = -1, cell = -1;
  };

  int weight(int64_t number, size_t which) const {
    return weights_[static_cast<size_t>(number) * (r_.bias ? 4 : 2) + which];
  }

  // What the input gives to every gate at every step: [steps, batch, gates].
  int entering(int input, bool swapped, int64_t number) {
    const int64_t features = lowering_.type(input).shape[2];
    const Expr value = swapped ? load_of(lowering_, input, {axis(1), axis(0), axis(3)})
                               : load_of(lowering_, input, {axis(0), axis(1), axis(3)});
    const Expr body = value * load_of(lowering_, weight(number, 0), {axis(2), axis(3)});
    Expr finish;
    if (r_.bias) {
      finish = reduced(ScalarKind::kReal) + load_of(lowering_, weight(number, 2), {axis(2)});
      // A GRU gates what its recurrent bias adds to.
      if (r_.cell != Cell::kGru) finish = finish + load_of(lowering_, weight(number, 3), {axis(2)});
    }
    return lowering_.define_temporary(
        {dtype_, {r_.steps, r_.batch, gates_of(r_.cell) * r_.hidden}, {}},
        reduce_stage(Combiner::kSum, {features}, body, finish));
  }

  Expr at_end(const Expr& step) const { return integer(r_.steps - 1) - step; }

  // A state before the step at hand; axis(1) is the batch.
  Expr before(int tensor, int initial, int64_t number, const Expr& unit) const {
    const Expr first = load_of(lowering_, initial, {integer(number), axis(1), unit});
    if (r_.steps == 1) return first;
    return select(binary(ExprOp::kGt, axis(0), integer(0)),
                  load_of(lowering_, tensor, {axis(0) - integer(1), axis(1), unit}), first);
  }

  // All steps of a layer; its directions take theirs side by side.
  void run(std::vector<Direction>& directions) {
    const TensorType state{dtype_, {r_.steps, r_.batch, r_.hidden}, {}};
    const int loop = r_.steps > 1 ? lowering_.new_loop() : -1;
    const auto define_in_loop = [&](int tensor, Stage stage) {
      stage.loop = loop;
      lowering_.define_declared(tensor, std::move(stage));
    };
    for (Direction& d : directions) {
      d.hidden = lowering_.declare_temporary(state);
      if (r_.cell == Cell::kLstm) d.cell = lowering_.declare_temporary(state);
    }
    for (const Direction& d : directions) {
      const auto arriving = [&](const Expr& gate) {
        return load_of(lowering_, d.entering,
                       {d.backward ? at_end(axis(0)) : axis(0), axis(1), gate});
      };
      Expr finish = reduced(ScalarKind::kReal);
      if (r_.cell != Cell::kGru)
        finish = finish + arriving(axis(2));
      else if (r_.bias)
        finish = finish + load_of(lowering_, weight(d.number, 3), {axis(2)});
      const int gates = lowering_.declare_temporary(
          {dtype_, {r_.steps, r_.batch, gates_of(r_.cell) * r_.hidden}, {}});
      define_in_loop(gates,
                     reduce_stage(Combiner::kSum, {r_.hidden},
                                  before(d.hidden, hidden_, d.number, axis(3)) *
                                      load_of(lowering_, weight(d.number, 1), {axis(2), axis(3)}),
                                  finish));
      const auto unit = [&](int64_t which) { return axis(2) + integer(which * r_.hidden); };
      const auto gate = [&](int64_t which) {
        return load_of(lowering_, gates, {axis(0), axis(1), unit(which)});
      };
      Expr hidden;
      if (r_.cell == Cell::kLstm) {
        define_in_loop(d.cell,
                       plain_stage(sigmoid(gate(1)) * before(d.cell, cell_, d.number, axis(2)) +
                                   sigmoid(gate(0)) * unary(ExprOp::kTanh, gate(2))));
        const Expr cell = load_of(lowering_, d.cell, {axis(0), axis(1), axis(2)});
        hidden = sigmoid(gate(3)) * unary(ExprOp::kTanh, cell);
      } else if (r_.cell == Cell::kGru) {
        const Expr fresh = unary(
            ExprOp::kTanh, arriving(unit(2)) + sigmoid(arriving(unit(0)) + gate(0)) * gate(2));
        const Expr old = before(d.hidden, hidden_, d.number, axis(2));
        // Not fresh + keep * (old - fresh): a gate that keeps all must leave a small state as it
        // is.
        const Expr keep = sigmoid(arriving(unit(1)) + gate(1));
        hidden = (constant(1) - keep) * fresh + keep * old;
      } else {
        hidden = r_.cell == Cell::kTanh ? unary(ExprOp::kTanh, gate(0))
                                        : binary(ExprOp::kMax, gate(0), constant(0));
      }
      define_in_loop(d.hidden, plain_stage(hidden));
    }
  }

  // Both directions side by side, at (step, batch) and axis 2.
  Expr join(const std::vector<Direction>& directions, const Expr& step, const Expr& batch) const {
    const Expr forward = load_of(lowering_, directions[0].hidden, {step, batch, axis(2)});
    if (directions.size() == 1) return forward;
    return select(binary(ExprOp::kLt, axis(2), integer(r_.hidden)), forward,
                  load_of(lowering_, directions[1].hidden,
                          {at_end(step), batch, axis(2) - integer(r_.hidden)}));
  }

  // States after the last step, chosen by axis 0 as a tree so that it stays shallow.
  Expr final_states(const std::vector<Direction>& all, int Direction::* which, size_t first,
                    size_t last) const {
    if (last - first == 1)
      return load_of(lowering_, all[first].*which, {integer(r_.steps - 1), axis(1), axis(2)});
    const size_t middle = (first + last) / 2;
    return select(binary(ExprOp::kLt, axis(0), integer(static_cast<int64_t>(middle))),
                  final_states(all, which, first, middle), final_states(all, which, middle, last));
  }

  Lowering& lowering_;
  const Recurrence& r_;
  std::vector<int> weights_;
  int hidden_, cell_;  // initial states
  DType dtype_;
};

OpEntry recurrence_op(std::string name, Cell cell) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kRecurrence;
  entry.infer = [cell](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    std::vector<Shape> weights;
    for (int id : node.value_list_arg("params")) weights.push_back(graph.value(id).type.shape);
    Shape state;
    if (cell == Cell::kLstm) {
      const auto states = node.value_list_arg("hx");
      if (states.size() != 2) return op_error(node, "wants hidden and cell state");
      state = graph.value(states[0]).type.shape;
      if (graph.value(states[1]).type.shape != state)
        return op_error(node, "projections are not supported");
    } else {
      KW_TRY(TensorType hidden, operand_type(graph, node, "hx"));
      state = hidden.shape;
    }
    KW_TRY(Recurrence r, Recurrence::of(node, cell, input.shape, state, weights));
    if (state != r.state()) return op_error(node, "the initial state does not fit");
    Types out = {{input.dtype, r.sequence(), {}}, {input.dtype, r.state(), {}}};
    if (cell == Cell::kLstm) out.push_back(out[1]);
    return out;
  };
  entry.define = [cell](Lowering& lowering) -> Status {
    const int input = lowering.operand("input");
    const std::vector<int> weights = lowering.operand_list("params");
    const bool lstm = cell == Cell::kLstm;
    const std::vector<int> states =
        lstm ? lowering.operand_list("hx") : std::vector<int>{lowering.operand("hx")};
    std::vector<Shape> shapes;
    for (int t : weights) shapes.push_back(lowering.type(t).shape);
    KW_TRY(Recurrence r, Recurrence::of(lowering.node(), cell, lowering.type(input).shape,
                                        lowering.type(states[0]).shape, shapes));
    LayerStack(lowering, r, weights, states[0], lstm ? states[1] : -1).define(input);
    return {};
  };
  return entry;
}

}  // namespace

void add_recurrence_ops(OpList& ops) {
  ops.push_back(recurrence_op("aten.rnn_tanh.input", Cell::kTanh));
  ops.push_back(recurrence_op("aten.rnn_relu.input", Cell::kRelu));
  ops.push_back(recurrence_op("aten.lstm.input", Cell::kLstm));
  ops.push_back(recurrence_op("aten.gru.input", Cell::kGru));
}

}  // namespace kernelwright::graph
