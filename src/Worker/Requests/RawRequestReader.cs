using System.Buffers;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Requests;

/// <summary>
/// Reads a raw binary request (Triton's extension): the length header is 0, so there is no JSON document, and the
/// body is the model's only input.
/// </summary>
public static class RawRequestReader
{
    /// <summary>Reads a request whose body is the model's only input.</summary>
    /// <exception cref="InvalidRequestException">
    /// The model has several inputs, or the size of the body does not fit the shape.
    /// </exception>
    public static InferRequest Read(OnnxModel model, ReadOnlySequence<byte> body)
    {
        if (model.Inputs.Count != 1)
            throw new InvalidRequestException("Raw request must only have 1 input (found 1) to be deduced but got "
                + $"{model.Inputs.Count} inputs in '{model.Name}' model");
        var spec = model.Inputs[0];
        var request = new InferRequest(model) { BinaryOutput = true };
        var shape = Shape(spec, body.Length);
        var count = TensorValues.Count(spec.Name, shape);
        if (!spec.Type.IsBytes && body.Length != count * spec.Type.Size)
            throw InferRequestReader.WrongSize(spec.Name, spec.Type, count, body.Length);
        request.Inputs[0] = new InputTensor(
            spec.Name,
            spec.Type,
            shape,
            count,
            default,
            body,
            RawText: spec.Type.IsBytes);
        request.ComputeBatchShare();
        return request;
    }

    private static long[] Shape(TensorSpec spec, long bytes)
    {
        // The batch dimension of a raw request is 1. One other variable dimension can be computed from the size.
        var shape = spec.Shape.ToArray();
        if (shape.Length > 1 && shape[0] < 0) shape[0] = 1;
        var variable = shape.Count(d => d < 0);
        if (spec.Type.IsBytes)
        {
            if (shape.Length == 1 && shape[0] is 1 or -1) return [1];
            throw new InvalidRequestException(
                $"For BYTE datatype raw input '{spec.Name}', the model must have input shape [1]");
        }

        if (variable > 1)
            throw new InvalidRequestException($"The shape of the raw input '{spec.Name}' can not be deduced because "
                + "there are more than one variable-sized dimension");
        if (variable == 0) return shape;
        var known = shape.Where(d => d >= 0).Aggregate((long)spec.Type.Size, (a, d) => a * d);
        if (known == 0 || bytes % known != 0)
            throw new InvalidRequestException(
                $"The size of input '{spec.Name}' is '{bytes}' bytes; expected a multiple of {known} for shape "
                + $"{spec.ShapeText} of {spec.Type.Name}.");
        shape[Array.FindIndex(shape, d => d < 0)] = bytes / known;
        return shape;
    }
}
