using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Walks everything in a ModelProto that can hold a tensor, a node or a graph: subgraphs of If, Loop and Scan,
/// functions and training graphs. Field numbers are from onnx.proto3. Unknown fields are skipped, as in protobuf.
/// </summary>
internal sealed class GraphWalk(ProtoReader reader, ModelLimits limits, TensorCheck tensors)
{
    private const int MaxText = 256;

    /// <summary>
    /// Largest nesting depth of types (a sequence of maps of optionals, for example). ONNX Runtime supports three
    /// levels.
    /// </summary>
    private const int MaxTypeDepth = 16;

    private readonly HashSet<string> valueTypes = [];
    private bool hasGraph;

    public OperatorDomains Domains { get; } = new(reader, limits);

    public long IrVersion { get; private set; }

    public string Producer { get; private set; } = "";

    public string ProducerVersion { get; private set; } = "";

    public long Nodes { get; private set; }

    public IReadOnlySet<string> ValueTypes => valueTypes;

    /// <summary>Whether the model has an input for a key/value cache.</summary>
    public bool HasCache { get; private set; }

    /// <summary>Reads the whole file.</summary>
    public void Model(long end)
    {
        var once = new SingularFieldCheck();
        while (reader.Next(end, out var field))
        {
            if (field.Number is 1 or 2 or 3 or 7) once.Check(reader, field);
            switch (field.Number)
            {
                case 1:
                    IrVersion = reader.Number(field);
                    break;
                case 2:
                    Producer = ProtoReader.Printable(reader.Text(field, MaxText));
                    break;
                case 3:
                    ProducerVersion = ProtoReader.Printable(reader.Text(field, MaxText));
                    break;
                case 7:
                    hasGraph = true;
                    Graph(Message(field), 0);
                    break;
                case 8:
                    Domains.Import(Message(field), ofModel: true);
                    break;
                case 20:
                    Training(Message(field));
                    break;
                case 25:
                    Function(Message(field));
                    break;
                default:
                    reader.Skip(field);
                    break;
            }
        }

        if (!hasGraph) throw reader.Refuse("it contains no graph", "an ONNX model");
        Domains.Check();
    }

    private void Graph(long end, int depth)
    {
        if (depth > limits.MaxSubgraphDepth)
            throw reader.Refuse(
                $"subgraphs nested deeper than {limits.MaxSubgraphDepth} at byte {reader.Position}",
                $"{limits.MaxSubgraphDepth}");
        while (reader.Next(end, out var field))
            switch (field.Number)
            {
                case 1:
                    Node(Message(field), depth);
                    break;
                case 5:
                    tensors.Tensor(Message(field));
                    break;
                case 11 or 12 or 13:
                    Value(Message(field), isInput: field.Number == 11 && depth == 0);
                    break;
                case 15:
                    tensors.Sparse(Message(field));
                    break;
                default:
                    reader.Skip(field);
                    break;
            }
    }

    private void Node(long end, int depth)
    {
        if (++Nodes > limits.MaxNodes)
            throw reader.Refuse($"more than {limits.MaxNodes} nodes", $"{limits.MaxNodes} (SLUICE_MAX_MODEL_NODES)");
        var once = new SingularFieldCheck();
        var domain = "";
        var name = default(ProtoField);
        while (reader.Next(end, out var field))
        {
            if (field.Number is 4 or 7) once.Check(reader, field);
            switch (field.Number)
            {
                case 4:
                    reader.Expect(field, WireType.Length);
                    name = field;
                    reader.Skip(field);
                    break;
                case 5:
                    Attribute(Message(field), depth);
                    break;
                case 7:
                    domain = Domains.Domain(field);
                    break;
                default:
                    reader.Skip(field);
                    break;
            }
        }

        Domains.Uses(domain, name.End - name.Value, name.Value);
    }

    private void Attribute(long end, int depth)
    {
        var once = new SingularFieldCheck();
        while (reader.Next(end, out var field))
        {
            if (field.Number is 5 or 6 or 14 or 22) once.Check(reader, field);
            switch (field.Number)
            {
                case 5 or 10:
                    tensors.Tensor(Message(field));
                    break;
                case 6 or 11:
                    Graph(Message(field), depth + 1);
                    break;
                case 14 or 15:
                    Type(Message(field), 0);
                    break;
                case 22 or 23:
                    tensors.Sparse(Message(field));
                    break;
                default:
                    reader.Skip(field);
                    break;
            }
        }
    }

    private void Function(long end)
    {
        var once = new SingularFieldCheck();
        var domain = "";
        var name = default(ProtoField);
        while (reader.Next(end, out var field))
        {
            if (field.Number is 1 or 10) once.Check(reader, field);
            switch (field.Number)
            {
                case 1:
                    reader.Expect(field, WireType.Length);
                    name = field;
                    reader.Skip(field);
                    break;
                case 7:
                    Node(Message(field), 0);
                    break;
                case 9:
                    Domains.Import(Message(field), ofModel: false);
                    break;
                case 10:
                    domain = Domains.Domain(field);
                    break;
                case 11: // attribute_proto: default values
                    Attribute(Message(field), 0);
                    break;
                case 12:
                    Value(Message(field), isInput: false);
                    break;
                default:
                    reader.Skip(field);
                    break;
            }
        }

        Domains.Defines(domain, name.End - name.Value, name.Value);
    }

    private void Training(long end)
    {
        while (reader.Next(end, out var field))
            if (field.Number is 1 or 2) Graph(Message(field), 0);
            else reader.Skip(field);
    }

    private void Value(long end, bool isInput)
    {
        while (reader.Next(end, out var field))
            if (field.Number == 2) Type(Message(field), 0);
            else if (field.Number == 1 && isInput)
                HasCache |= reader.TextBegins(field, OnnxModel.CachePrefix);
            else reader.Skip(field);
    }

    /// <summary>
    /// Reads the element types of a TypeProto: tensors (1), sparse tensors (8), and the elements of a sequence (4), a
    /// map (5) or an optional (9).
    /// </summary>
    private void Type(long end, int depth)
    {
        if (depth > MaxTypeDepth)
            throw reader.Refuse(
                $"types nested deeper than {MaxTypeDepth} at byte {reader.Position}",
                $"{MaxTypeDepth}");
        while (reader.Next(end, out var field))
            if (field.Number is 1 or 8) TensorType(Message(field));
            else if (field.Number is 4 or 5 or 9) Container(Message(field), field.Number == 5 ? 2 : 1, depth);
            else reader.Skip(field);
    }

    private void TensorType(long end)
    {
        while (reader.Next(end, out var field))
        {
            if (field.Number == 1 && ElementType.FromNumber(reader.Number(field)) is { } type)
                valueTypes.Add(type.Name);
            reader.Skip(field);
        }
    }

    private void Container(long end, int typeField, int depth)
    {
        while (reader.Next(end, out var field))
            if (field.Number == typeField) Type(Message(field), depth + 1);
            else reader.Skip(field);
    }

    private long Message(ProtoField field)
    {
        reader.Expect(field, WireType.Length);
        return field.End;
    }
}
