using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>Tensors in ONNX Runtime's own memory, into which request bodies are parsed and copied directly.</summary>
public static class TensorValues
{
    /// <summary>A tensor in the arena; its content is what was there before unless <paramref name="zero"/>.</summary>
    public static OrtValue Allocate(DataType type, long[] shape, bool zero = false)
    {
        if (type.IsBytes) return OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type.Element, shape);
        if (zero) value.GetTensorMutableRawData().Clear();
        return value;
    }

    /// <summary>Number of elements of a shape; throws when a dimension is negative or the product overflows.</summary>
    public static long Count(string tensor, long[] shape)
    {
        long count = 1;
        foreach (var dimension in shape)
        {
            if (dimension < 0)
                throw new InvalidRequestException(
                    $"input '{tensor}': shape has {dimension}, expected dimensions of 0 or more");
            try
            {
                count = checked(count * dimension);
            }
            catch (OverflowException)
            {
                throw new InvalidRequestException($"input '{tensor}': the shape's number of elements overflows");
            }
        }

        return count;
    }
}
