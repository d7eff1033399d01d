using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Tensors;

/// <summary>
/// Allocates tensors in ONNX Runtime's memory. Request bodies are parsed and copied directly into them.
/// </summary>
public static class TensorValues
{
    /// <summary>Allocates a tensor. Its content is undefined unless <paramref name="zero"/> is true.</summary>
    public static OrtValue Allocate(DataType type, long[] shape, bool zero = false)
    {
        if (type.IsBytes) return OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type.Element, shape);
        if (zero) value.GetTensorMutableRawData().Clear();
        return value;
    }

    /// <summary>
    /// Returns the number of elements of a shape. Throws if a dimension is negative or the product overflows.
    /// </summary>
    public static long Count(string tensor, long[] shape)
    {
        long count = 1;
        foreach (var dimension in shape)
        {
            if (dimension < 0)
                throw new InvalidRequestException(
                    $"input '{tensor}': shape has {dimension}; expected dimensions of 0 or more");
            try
            {
                count = checked(count * dimension);
            }
            catch (OverflowException)
            {
                throw new InvalidRequestException($"input '{tensor}': the number of elements of the shape overflows");
            }
        }

        return count;
    }
}
