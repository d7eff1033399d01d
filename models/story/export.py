"""Writes the network as ONNX, with the names of ONNX Runtime GenAI's model builder.

The weights are stored with 16 bits and converted to 32 when the model is loaded: half the size, and the arithmetic
that CPUs do best.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from decoder import CONTEXT, EPSILON, HEAD, HEADS, KV_HEADS, LAYERS, rope_tables


class Graph:
    """Collects the nodes and weights of the ONNX graph."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name, value):
        stored = self.constant(f"{name}.fp16", value.detach().numpy().astype(np.float16))
        return self.node("Cast", [stored], name, to=TensorProto.FLOAT)

    def node(self, op, inputs, outputs, domain="", **attributes):
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def norm(self, x, weight, name):
        square = self.node("Mul", [x, x], f"{name}.square")
        mean = self.node("ReduceMean", [square], f"{name}.mean", axes=[-1], keepdims=1)
        root = self.node("Sqrt", [self.node("Add", [mean, "epsilon"], f"{name}.eps")], f"{name}.root")
        scaled = self.node("Div", [x, root], f"{name}.scaled")
        return self.node("Mul", [scaled, self.weight(f"{name}.weight", weight)], name)

    def linear(self, x, module, name):
        return self.node("MatMul", [x, self.weight(f"{name}.weight", module.weight.T)], name)


def add_layer(g, x, layer, i):
    p = f"layers.{i}"
    h = g.norm(x, layer.norm1, f"{p}.norm1")
    q, k, v = (g.linear(h, f, f"{p}.{n}") for n, f in (("q", layer.q), ("k", layer.k), ("v", layer.v)))
    past = [f"past_key_values.{i}.key", f"past_key_values.{i}.value"]
    present = [f"present.{i}.key", f"present.{i}.value"]
    attended = g.node("GroupQueryAttention",
                      [q, k, v, *past, "seqlens_k", "total_length", "cos_cache", "sin_cache"],
                      [f"{p}.attention", *present], domain="com.microsoft", num_heads=HEADS, kv_num_heads=KV_HEADS,
                      do_rotary=1, rotary_interleaved=0)
    x = g.node("Add", [x, g.linear(attended, layer.o, f"{p}.o")], f"{p}.x1")
    h = g.norm(x, layer.norm2, f"{p}.norm2")
    gate, up = g.linear(h, layer.gate, f"{p}.gate"), g.linear(h, layer.up, f"{p}.up")
    silu = g.node("Mul", [gate, g.node("Sigmoid", [gate], f"{p}.sigmoid")], f"{p}.silu")
    down = g.linear(g.node("Mul", [silu, up], f"{p}.gated"), layer.down, f"{p}.down")
    return g.node("Add", [x, down], f"{p}.x2")


def export(model, path):
    g = Graph()
    g.constant("epsilon", np.array(EPSILON, np.float32))
    g.constant("one", np.array([1], np.int64))
    cos, sin = rope_tables(2 * CONTEXT)
    g.constant("cos_cache", cos.numpy())
    g.constant("sin_cache", sin.numpy())
    # As in the model builder: the number of tokens of each row minus one, and the width of the mask.
    lengths = g.node("ReduceSum", ["attention_mask", "one"], "lengths", keepdims=0)
    less = g.node("Sub", [lengths, "one"], "lengths_less_one")
    g.node("Cast", [less], "seqlens_k", to=TensorProto.INT32)
    shape = g.node("Shape", ["attention_mask"], "mask_shape")
    g.constant("axis_one", np.array(1, np.int64))
    total = g.node("Gather", [shape, "axis_one"], "mask_width", axis=0)
    g.node("Cast", [total], "total_length", to=TensorProto.INT32)

    table = g.weight("embed.weight", model.embed.weight)
    x = g.node("Gather", [table, "input_ids"], "embedded")
    for i, layer in enumerate(model.layers):
        x = add_layer(g, x, layer, i)
    x = g.norm(x, model.norm, "final_norm")
    head = g.node("Transpose", [table], "head", perm=[1, 0])
    g.node("MatMul", [x, head], "logits")

    def tensor(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    past = ["batch_size", KV_HEADS, "past_sequence_length", HEAD]
    present = ["batch_size", KV_HEADS, "total_sequence_length", HEAD]
    inputs = [tensor("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
              tensor("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])]
    outputs = [tensor("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", model.embed.num_embeddings])]
    for i in range(LAYERS):
        inputs += [tensor(f"past_key_values.{i}.{n}", TensorProto.FLOAT, past) for n in ("key", "value")]
        outputs += [tensor(f"present.{i}.{n}", TensorProto.FLOAT, present) for n in ("key", "value")]
    graph = helper.make_graph(g.nodes, "story", inputs, outputs, g.weights)
    onnx_model = helper.make_model(graph, producer_name="sluice", ir_version=8, opset_imports=[
        helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)])
    onnx.save(onnx_model, str(path))
