namespace Sluice.Worker.Tensors;

/// <summary>An input or output of a model: name, datatype and shape. A dimension of -1 can vary.</summary>
public sealed record TensorSpec(string Name, DataType Type, long[] Shape)
{
    public string ShapeText => Text(Shape);

    public static string Text(IEnumerable<long> shape) => $"[{string.Join(",", shape)}]";

    /// <summary>Throws if a tensor of this type and shape does not match this input.</summary>
    public void Check(string model, string type, long[] shape)
    {
        if (type != Type.Name)
            throw new InvalidRequestException(
                $"inference input '{Name}' data-type is '{type}', but model '{model}' expects '{Type.Name}'");
        var fits = shape.Length == Shape.Length;
        for (var i = 0; fits && i < shape.Length; i++) fits = Shape[i] < 0 || Shape[i] == shape[i];
        if (!fits)
            throw new InvalidRequestException(
                $"unexpected shape for input '{Name}' for model '{model}'. Expected {ShapeText}, got {Text(shape)}.");
    }
}
