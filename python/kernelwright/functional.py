# SPDX-License-Identifier: Apache-2.0
"""From torch.export's program to one functional ATen graph in few forms.

Placeholders of the result: weights, then inputs. Its output: the module's flattened results, then what each
mutated buffer holds after the call.
"""

import operator
from dataclasses import dataclass, field

import torch
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind

from kernelwright.aten import NotExpressible, aten, bound_arguments, is_random, is_view
from kernelwright.input_spec import DTYPE_NAMES

MAX_RANK = 8  # as the reader in C++
FOLD_LIMIT = 1 << 20  # elements of an integer constant that is worth computing ahead


@dataclass
class Functional:
    graph: torch.fx.Graph
    inputs: list = field(default_factory=list)  # placeholder nodes of user tensors, in call order
    input_leaves: list = field(default_factory=list)  # position of each among the flattened (args, kwargs)
    baked: dict = field(default_factory=dict)  # leaf position -> constant
    weights: dict = field(default_factory=dict)  # placeholder node -> (name, kind, tensor)
    mutated: list = field(default_factory=list)  # weight names; their values end the graph's output

    @property
    def outputs(self):
        """The module's flattened results: nodes, or constants."""
        values = self._results()
        return values[: len(values) - len(self.mutated)]

    @property
    def mutations(self):
        """(weight name, node) of each buffer that forward changes."""
        values = self._results()
        return list(zip(self.mutated, values[len(values) - len(self.mutated) :], strict=True))

    def _results(self):
        return list(next(iter(reversed(self.graph.nodes))).args[0])


def functionalize(program, name_of, module):
    """`program`: a decomposed ExportedProgram. `name_of(tensor)`: a weight's name in the user's module, or
    None. `module`: what was exported, for its tensors."""
    result = Functional(torch.fx.Graph())
    environment = {}
    result.graph.graph_copy(program.graph, environment)
    by_name = {old.name: new for old, new in environment.items()}
    _write_output(result, program, environment)
    _read_inputs(result, program, by_name, name_of, module)
    _check(result)
    _drop_asserts(result)
    _canonical(result)
    _fold_no_ops(result)
    _fold_constants(result)
    result.graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output"))
    _drop_unused_weights(result)
    _reshape_instead_of_view(result)
    result.graph.lint()
    return result


def _read_inputs(result, program, by_name, name_of, module):
    leaf, constants, tied, targets = 0, 0, {}, {}
    for spec in program.graph_signature.input_specs:
        node = by_name.get(spec.arg.name) if hasattr(spec.arg, "name") else None
        if spec.kind == InputKind.USER_INPUT:
            if isinstance(spec.arg, ConstantArgument) or not isinstance(node.meta.get("val"), torch.Tensor):
                value = spec.arg.value if isinstance(spec.arg, ConstantArgument) else node.meta.get("val")
                result.baked[leaf] = value
                if node is not None:
                    if node.users:
                        raise NotExpressible(f"the argument {node.name} is no tensor")
                    result.graph.erase_node(node)
            else:
                result.inputs.append(node)
                result.input_leaves.append(leaf)
            leaf += 1
            continue
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            kind = "parameter" if spec.kind == InputKind.PARAMETER else "buffer"
            tensor = lookup(module, spec.target)
            name = name_of(tensor) or spec.target
        elif spec.kind == InputKind.CONSTANT_TENSOR:
            kind, tensor = "constant", program.constants[spec.target]
            name = name_of(tensor) or f"constant.{constants}"
            constants += name.startswith("constant.")
        else:
            raise NotExpressible(f"an input of kind {spec.kind.name.lower()} is outside the graph format")
        key = _identity(tensor)
        if key in tied:
            targets[spec.target] = result.weights[tied[key]][0]
            node.replace_all_uses_with(tied[key])
            result.graph.erase_node(node)
            continue
        tied[key] = node
        result.weights[node] = (name, kind, tensor.detach())
        targets[spec.target] = name
    result.mutated = [targets[target] for target in result.mutated]


def _identity(tensor):
    if tensor.numel() == 0:
        return id(tensor)
    return tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()


def _write_output(result, program, environment):
    """Results first, then the values of mutated buffers (under the program's names for now)."""
    values, mutations = [], []
    old_values = next(iter(reversed(program.graph.nodes))).args[0]
    for spec, old in zip(program.graph_signature.output_specs, old_values, strict=True):
        new = environment[old] if isinstance(old, torch.fx.Node) else old
        if spec.kind == OutputKind.USER_OUTPUT:
            values.append(new)
        elif spec.kind == OutputKind.BUFFER_MUTATION:
            mutations.append((spec.target, new))
        elif spec.kind == OutputKind.USER_INPUT_MUTATION:
            raise NotExpressible(f"forward changes its input {spec.target} in place")
        else:
            raise NotExpressible(f"a result of kind {spec.kind.name.lower()} is outside the graph format")
    result.mutated = [target for target, _ in mutations]
    result.graph.output((*values, *(new for _, new in mutations)))


def lookup(module, path):
    """Parameter, buffer or plain attribute at a dotted path."""
    for part in path.split("."):
        module = getattr(module, part)
    return module


def _check(result):
    """Refuses what graph.json cannot say: values without a static shape, foreign dtypes, odd calls."""
    for node in result.graph.nodes:
        if node.op == "get_attr":
            raise NotExpressible(f"control flow on data ({node.target})")
        if node.op in ("placeholder", "output"):
            _check_value(node)
            continue
        if node.target is operator.getitem:
            continue
        if not isinstance(node.target, torch._ops.OpOverload):
            name = getattr(node.target, "__name__", str(node.target))
            raise NotExpressible(f"{name}: no op on tensors of static shape")
        if not node.target.name().startswith("aten::_assert"):
            _check_value(node)


def _check_value(node):
    for value in _leaves(node.meta.get("val")):
        if isinstance(value, torch.Tensor):
            if any(isinstance(size, torch.SymInt) for size in value.shape):
                raise NotExpressible(f"{node.target}: its result's shape depends on data")
            if value.dim() > MAX_RANK:
                raise NotExpressible(f"{node.target}: more than {MAX_RANK} dimensions")
            if value.dtype not in DTYPE_NAMES:
                dtype = str(value.dtype).removeprefix("torch.")
                raise NotExpressible(f"{node.target}: {dtype} tensors are outside the graph format")
            if value.is_sparse or value.layout != torch.strided:
                raise NotExpressible(f"{node.target}: sparse tensors are outside the graph format")
        elif isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            raise NotExpressible(f"{node.target}: a Python number that depends on data")


def _leaves(value):
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _calls(result, *ops):
    return [n for n in result.graph.nodes if n.op == "call_function" and n.target in ops]


def _drop_asserts(result):
    for node in reversed(result.graph.nodes):
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            if node.target.name().startswith("aten::_assert") and not node.users:
                result.graph.erase_node(node)


def _used_outputs(node):
    return {user.args[1] for user in node.users if user.target is operator.getitem}


def _replace(result, node, op, args, kwargs=None, take=None):
    """Puts op(args) in place of `node`, or of its output `take`."""
    with result.graph.inserting_before(node):
        new = result.graph.call_function(op, args, kwargs or {})
    new.meta = dict(node.meta)
    if take is None:
        node.replace_all_uses_with(new)
    else:
        new.meta["val"] = node.meta["val"][take]
        for user in list(node.users):
            user.replace_all_uses_with(new)
            result.graph.erase_node(user)
    result.graph.erase_node(node)
    return new


def _canonical(result):
    """One spelling where ATen has several."""
    for node in list(result.graph.nodes):
        if node.op != "call_function" or node.target is operator.getitem:
            continue
        op, used = node.target, _used_outputs(node)
        value = node.meta.get("val")
        if op is torch.ops.prims.convert_element_type.default:
            _replace(result, node, aten._to_copy.default, (node.args[0],), {"dtype": node.args[1]})
        elif op is aten._to_copy.default:
            node.kwargs = {"dtype": value.dtype}
        elif op is aten.scalar_tensor.default:
            _replace(result, node, aten.full.default, ([], node.args[0]), {"dtype": value.dtype})
        elif op is aten.full_like.default:
            _replace(result, node, aten.full.default, (list(value.shape), node.args[1]), {"dtype": value.dtype})
        elif op is aten.full.default:
            node.kwargs = {"dtype": value.dtype}
        elif op is aten._native_batch_norm_legit_no_training.default and used <= {0}:
            a = bound_arguments(node)
            _replace(
                result,
                node,
                aten.batch_norm.default,
                (
                    a["input"],
                    a["weight"],
                    a["bias"],
                    a["running_mean"],
                    a["running_var"],
                    False,
                    a["momentum"],
                    a["eps"],
                    False,
                ),
                take=0,
            )
        elif op is aten._native_batch_norm_legit.no_stats and used <= {0}:
            a = bound_arguments(node)
            _replace(
                result,
                node,
                aten.batch_norm.default,
                (a["input"], a["weight"], a["bias"], None, None, True, a["momentum"], a["eps"], False),
                take=0,
            )
        elif op is aten.copy.default:
            _replace_copy(result, node)
        elif op in (aten.max.dim, aten.min.dim) and used == {0}:
            a = bound_arguments(node)
            extreme = aten.amax.default if op is aten.max.dim else aten.amin.default
            _replace(result, node, extreme, (a["self"], [a["dim"]], a["keepdim"]), take=0)


def _replace_copy(result, node):
    """copy(self, src): src in the shape and dtype of self."""
    source, value = node.args[1], node.meta["val"]
    with result.graph.inserting_before(node):
        cast = result.graph.call_function(aten._to_copy.default, (source,), {"dtype": value.dtype})
    cast.meta = {**node.meta, "val": source.meta["val"].to(value.dtype)}
    _replace(result, node, aten.expand.default, (cast, list(value.shape)))


def base_of(node):
    """The node whose memory a value is a view of. Our reshape is ATen's view."""
    while node.op == "call_function":
        if node.target is operator.getitem:
            if not is_view(node.args[0]):
                return node
            node = _source(node.args[0])
        elif is_view(node) or node.target is aten.reshape.default:
            node = _source(node)
        else:
            return node
    return node


def _copy_matters(result, node):
    """Whether a result is this copy, or a view of it, and without the copy would share memory with an input, a
    weight or another result."""
    values = [*result.outputs, *(value for _, value in result.mutations)]
    bases = [base_of(value) for value in values if isinstance(value, torch.fx.Node)]
    if node not in bases:
        return False
    source = base_of(_source(node))
    return source.op == "placeholder" or source in bases


def _source(node):
    return node.args[0] if node.args else next(iter(node.kwargs.values()))


def _is_no_op(result, node):
    op, value, source = node.target, node.meta.get("val"), _source(node) if node.args else None
    if not isinstance(source, torch.fx.Node):
        return False
    before = source.meta.get("val")
    if op in (aten.alias.default, aten.detach.default):
        return True
    if op in (aten.clone.default, aten.lift_fresh_copy.default, aten.contiguous.default):
        return not _copy_matters(result, node)
    if not isinstance(value, torch.Tensor) or not isinstance(before, torch.Tensor):
        return False
    if value.dtype != before.dtype or value.shape != before.shape:
        return False
    if op is aten._to_copy.default:
        return not _copy_matters(result, node)
    if op in (aten.view.default, aten.expand.default, aten.squeeze.dims, aten.slice.Tensor):
        return True
    if op is aten.permute.default:
        return [d % max(1, before.dim()) for d in node.args[1]] == list(range(before.dim()))
    return False


def _fold_no_ops(result):
    for node in list(result.graph.nodes):
        if node.op == "call_function" and _is_no_op(result, node):
            node.replace_all_uses_with(_source(node))
            result.graph.erase_node(node)


def _fold_constants(result):
    """Integer and boolean values that depend on nothing (masks, positions) become constants. Real values
    stay: folded, they would keep their rounding in a run of higher precision."""
    known = {}
    for node in result.graph.nodes:
        value = node.meta.get("val")
        if node.op != "call_function" or node.target is operator.getitem or is_random(node):
            continue
        if not isinstance(value, torch.Tensor) or not 0 < value.numel() <= FOLD_LIMIT:
            continue
        if all(source in known for source in node.all_input_nodes):
            try:
                known[node] = _evaluate(node, known)
            except Exception:  # an op that does not run here stays a node
                continue
    handed_back = {base_of(value) for value in result.outputs if isinstance(value, torch.fx.Node)}
    folded = {
        node: tensor
        for node, tensor in known.items()
        if not tensor.dtype.is_floating_point
        and base_of(node) not in handed_back
        and node.target is not aten.full.default
    }
    taken = {name for name, kind, _ in result.weights.values() if kind == "constant"}
    for node, tensor in folded.items():
        if all(user in folded for user in node.users):
            continue
        number = next(i for i in range(len(taken) + 1) if f"constant.{i}" not in taken)
        taken.add(f"constant.{number}")
        with result.graph.inserting_before(next(iter(result.graph.nodes))):
            placeholder = result.graph.placeholder(f"c_folded_{number}")
        placeholder.meta = {"val": node.meta["val"]}
        result.weights[placeholder] = (f"constant.{number}", "constant", tensor)
        node.replace_all_uses_with(placeholder)


def _evaluate(node, known):
    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda n: known[n])
    if "device" in kwargs:
        kwargs = {**kwargs, "device": "cpu"}
    return node.target(*args, **kwargs).contiguous()


def _drop_unused_weights(result):
    for node, (name, _, _) in list(result.weights.items()):
        if not node.users and name not in result.mutated:
            result.graph.erase_node(node)
            del result.weights[node]


def _reshape_instead_of_view(result):
    """A view presumes strides; a graph has none. Written as aten.view in graph.json all the same."""
    for node in _calls(result, aten.view.default):
        node.target = aten.reshape.default
