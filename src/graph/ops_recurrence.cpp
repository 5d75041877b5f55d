// SPDX-License-Identifier: Apache-2.0
// RNN, LSTM and GRU, step by step: every step is stages of its own, so long sequences stay in
// eager.
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

constexpr int64_t kMostSteps = 32;  // of all layers and directions together

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
    if (r.steps * r.layers * r.directions > kMostSteps)
      return op_error(node, fmt::format("takes {} steps, more than {}",
                                        r.steps * r.layers * r.directions, kMostSteps));
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

// A choice among values by an integer, as a tree so that it stays shallow.
Expr choose(const Expr& which, const std::vector<Expr>& values, size_t first, size_t last) {
  if (last - first == 1) return values[first];
  const size_t middle = (first + last) / 2;
  return select(binary(ExprOp::kLt, which, integer(static_cast<int64_t>(middle))),
                choose(which, values, first, middle), choose(which, values, middle, last));
}

class Unrolled {
 public:
  Unrolled(Lowering& lowering, const Recurrence& recurrence, std::vector<int> weights, int hidden,
           int cell)
      : lowering_(lowering),
        r_(recurrence),
        weights_(std::move(weights)),
        hidden_(hidden),
        cell_(cell),
        dtype_(accumulate_dtype(lowering.output_type().dtype)) {}

  void define(int input) {
    // At axes (step, batch, feature) of a layer's input.
    bool swapped = r_.batch_first;
    std::vector<int> last_hidden, last_cell;
    for (int64_t layer = 0; layer < r_.layers; ++layer) {
      std::vector<std::vector<int>> made;  // per direction, by step
      for (int64_t d = 0; d < r_.directions; ++d) {
        const int64_t number = layer * r_.directions + d;
        made.push_back(run(input, swapped, number, d == 1));
        last_hidden.push_back(made.back()[d == 1 ? 0 : static_cast<size_t>(r_.steps) - 1]);
        last_cell.push_back(last_cell_);
      }
      const bool last = layer + 1 == r_.layers;
      const bool batch_outside = last && r_.batch_first;
      Stage joined =
          plain_stage(join(made, axis(batch_outside ? 1 : 0), axis(batch_outside ? 0 : 1)));
      swapped = false;
      if (last)
        lowering_.define(0, std::move(joined));
      else
        input = lowering_.define_temporary(
            {dtype_, {r_.steps, r_.batch, r_.directions * r_.hidden}, {}}, std::move(joined));
    }
    lowering_.define(1, plain_stage(stacked(last_hidden)));
    if (r_.cell == Cell::kLstm) lowering_.define(2, plain_stage(stacked(last_cell)));
  }

 private:
  int weight(int64_t number, size_t which) const {
    return weights_[static_cast<size_t>(number) * (r_.bias ? 4 : 2) + which];
  }
  Expr load_step(int tensor) const { return load_of(lowering_, tensor, {axis(0), axis(1)}); }

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

  // What the state gives to every gate: [batch, gates].
  int recurrent(const std::function<Expr(const Expr& unit)>& state, int64_t number,
                const std::function<Expr(const Expr& acc)>& finish) {
    const Expr body = state(axis(2)) * load_of(lowering_, weight(number, 1), {axis(1), axis(2)});
    return lowering_.define_temporary(
        {dtype_, {r_.batch, gates_of(r_.cell) * r_.hidden}, {}},
        reduce_stage(Combiner::kSum, {r_.hidden}, body, finish(reduced(ScalarKind::kReal))));
  }

  int step_tensor(const Expr& body) {
    return lowering_.define_temporary({dtype_, {r_.batch, r_.hidden}, {}}, plain_stage(body));
  }

  // The hidden states of one direction of one layer, by step.
  std::vector<int> run(int input, bool swapped, int64_t number, bool backward) {
    const int from_input = entering(input, swapped, number);
    std::vector<int> out(static_cast<size_t>(r_.steps), -1);
    int before = -1, cell = -1;
    for (int64_t s = 0; s < r_.steps; ++s) {
      const int64_t step = backward ? r_.steps - 1 - s : s;
      auto state = [&](int tensor, int initial, const Expr& unit) {
        return tensor < 0 ? load_of(lowering_, initial, {integer(number), axis(0), unit})
                          : load_of(lowering_, tensor, {axis(0), unit});
      };
      auto arriving = [&](const Expr& gate) {
        return load_of(lowering_, from_input, {integer(step), axis(0), gate});
      };
      auto gate = [&](int tensor, int64_t which) {
        return load_of(lowering_, tensor, {axis(0), axis(1) + integer(which * r_.hidden)});
      };
      const int gates =
          recurrent([&](const Expr& unit) { return state(before, hidden_, unit); }, number,
                    [&](const Expr& acc) -> Expr {
                      if (r_.cell != Cell::kGru) return acc + arriving(axis(1));
                      return r_.bias ? acc + load_of(lowering_, weight(number, 3), {axis(1)}) : acc;
                    });
      int& made = out[static_cast<size_t>(step)];
      if (r_.cell == Cell::kLstm) {
        cell = step_tensor(sigmoid(gate(gates, 1)) * state(cell, cell_, axis(1)) +
                           sigmoid(gate(gates, 0)) * unary(ExprOp::kTanh, gate(gates, 2)));
        made = step_tensor(sigmoid(gate(gates, 3)) * unary(ExprOp::kTanh, load_step(cell)));
      } else if (r_.cell == Cell::kGru) {
        auto total = [&](int64_t which) {
          return arriving(axis(1) + integer(which * r_.hidden)) + gate(gates, which);
        };
        const Expr fresh = unary(ExprOp::kTanh, arriving(axis(1) + integer(2 * r_.hidden)) +
                                                    sigmoid(total(0)) * gate(gates, 2));
        const Expr old = state(before, hidden_, axis(1));
        made = step_tensor(fresh + sigmoid(total(1)) * (old - fresh));
      } else {
        made = step_tensor(r_.cell == Cell::kTanh
                               ? unary(ExprOp::kTanh, load_step(gates))
                               : binary(ExprOp::kMax, load_step(gates), constant(0)));
      }
      before = made;
    }
    last_cell_ = cell;
    return out;
  }

  // All steps of all directions side by side, at (step, batch) and axis 2.
  Expr join(const std::vector<std::vector<int>>& made, const Expr& step, const Expr& batch) const {
    std::vector<Expr> sides;
    for (size_t d = 0; d < made.size(); ++d) {
      std::vector<Expr> values;
      const Expr unit = axis(2) - integer(static_cast<int64_t>(d) * r_.hidden);
      for (int tensor : made[d]) values.push_back(load_of(lowering_, tensor, {batch, unit}));
      sides.push_back(choose(step, values, 0, values.size()));
    }
    if (sides.size() == 1) return sides[0];
    return select(binary(ExprOp::kLt, axis(2), integer(r_.hidden)), sides[0], sides[1]);
  }

  Expr stacked(const std::vector<int>& tensors) const {
    std::vector<Expr> values;
    for (int tensor : tensors) values.push_back(load_of(lowering_, tensor, {axis(1), axis(2)}));
    return choose(axis(0), values, 0, values.size());
  }

  Lowering& lowering_;
  const Recurrence& r_;
  std::vector<int> weights_;
  int hidden_, cell_;  // initial states
  DType dtype_;
  int last_cell_ = -1;
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
    Unrolled(lowering, r, weights, states[0], lstm ? states[1] : -1).define(input);
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
