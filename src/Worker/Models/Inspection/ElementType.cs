namespace Sluice.Worker.Models.Inspection;

/// <summary>An element type of TensorProto.DataType.</summary>
/// <param name="Number">Number in TensorProto.DataType.</param>
/// <param name="Name">Name in the inference protocol.</param>
/// <param name="Bits">Bits of one element. 0 for strings, which have no fixed size.</param>
/// <param name="Field">Number of the TensorProto field that holds the elements if there is no raw_data.</param>
/// <param name="Entries">Returns the number of entries in that field for a number of elements. A complex number takes
/// two entries, a 4-bit number half an entry.</param>
internal sealed record ElementType(int Number, string Name, int Bits, int Field, Func<long, long> Entries)
{
    /// <summary>Numbers of the TensorProto fields that hold elements.</summary>
    public const int FloatData = 4, Int32Data = 5, StringData = 6, Int64Data = 7, DoubleData = 10, UInt64Data = 11;

    public const int String = 8;

    // Numbers and fields: onnx.proto3, message TensorProto (public, Apache-2.0), as of ONNX 1.20.
    private static readonly Dictionary<int, ElementType> Known = new ElementType[]
    {
        new(1, "FP32", 32, FloatData, n => n),
        new(2, "UINT8", 8, Int32Data, n => n),
        new(3, "INT8", 8, Int32Data, n => n),
        new(4, "UINT16", 16, Int32Data, n => n),
        new(5, "INT16", 16, Int32Data, n => n),
        new(6, "INT32", 32, Int32Data, n => n),
        new(7, "INT64", 64, Int64Data, n => n),
        new(String, "BYTES", 0, StringData, n => n),
        new(9, "BOOL", 8, Int32Data, n => n),
        new(10, "FP16", 16, Int32Data, n => n),
        new(11, "FP64", 64, DoubleData, n => n),
        new(12, "UINT32", 32, UInt64Data, n => n),
        new(13, "UINT64", 64, UInt64Data, n => n),
        new(14, "COMPLEX64", 64, FloatData, n => checked(2 * n)),
        new(15, "COMPLEX128", 128, DoubleData, n => checked(2 * n)),
        new(16, "BF16", 16, Int32Data, n => n),
        new(17, "FP8E4M3FN", 8, Int32Data, n => n),
        new(18, "FP8E4M3FNUZ", 8, Int32Data, n => n),
        new(19, "FP8E5M2", 8, Int32Data, n => n),
        new(20, "FP8E5M2FNUZ", 8, Int32Data, n => n),
        new(21, "UINT4", 4, Int32Data, n => n / 2 + n % 2),
        new(22, "INT4", 4, Int32Data, n => n / 2 + n % 2),
        new(23, "FP4E2M1", 4, Int32Data, n => n / 2 + n % 2),
        new(24, "FP8E8M0", 8, Int32Data, n => n),
        new(25, "UINT2", 2, Int32Data, n => n / 4 + (n % 4 > 0 ? 1 : 0)),
        new(26, "INT2", 2, Int32Data, n => n / 4 + (n % 4 > 0 ? 1 : 0)),
    }.ToDictionary(t => t.Number);

    /// <summary>Returns the element type, or null if the number is unknown.</summary>
    public static ElementType? FromNumber(long number) =>
        number is > 0 and <= int.MaxValue ? Known.GetValueOrDefault((int)number) : null;

    /// <summary>Returns the bytes of a number of elements. The result can exceed a long.</summary>
    public UInt128 Bytes(long elements) => ((UInt128)elements * (uint)Bits + 7) / 8;
}
