using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Tensors;

/// <summary>
/// Converts numbers between JSON and a tensor's memory, without an array in between. <c>data</c> can be flat or
/// nested in any way, in row-major order: as in Triton, only the number of elements counts. Integers outside the
/// range of a type are rejected, never wrapped. NaN and infinities, which JSON does not support, are the strings
/// "NaN", "Infinity" and "-Infinity" in both directions. Triton's clients write them bare (<see
/// cref="BareNumbers"/>). Bare values are accepted, and the response then contains bare values too.
/// </summary>
public static class JsonTensors
{
    /// <summary>Largest number of bytes of an invalid value that an error shows.</summary>
    private const int MaxShown = 40;

    private delegate T Element<T>(ref Utf8JsonReader reader, in Place place);

    /// <summary>Reads a list of numbers into a tensor.</summary>
    /// <param name="json">Value of <c>data</c>.</param>
    /// <param name="into">Memory of the tensor.</param>
    /// <param name="tensor">Name of the tensor, for errors.</param>
    /// <param name="type">Datatype of the tensor, except BYTES.</param>
    /// <param name="shape">Shape of the tensor.</param>
    /// <returns>True if a NaN or an infinity was bare.</returns>
    /// <exception cref="InvalidRequestException">The list does not match the tensor.</exception>
    public static bool Read(ReadOnlySpan<byte> json, Span<byte> into, string tensor, DataType type, long[] shape)
    {
        if (type.Name == "FP32" && NumberList.TryRead(json, MemoryMarshal.Cast<byte, float>(into))) return false;
        try
        {
            ReadAny(json, into, tensor, type, shape);
            return false;
        }
        catch (JsonException) when (BareNumbers.Quote(json) is { } quoted)
        {
            ReadAny(quoted, into, tensor, type, shape);
            return true;
        }
    }

    /// <summary>Reads a list of strings into a BYTES tensor.</summary>
    public static void ReadStrings(ReadOnlySpan<byte> json, OrtValue into, string tensor, long[] shape)
    {
        var reader = new Utf8JsonReader(json, RequestJson.Options);
        reader.Read();
        Walk(ref reader, new Place(tensor, "BYTES", shape), new StringSink(into));
    }

    /// <summary>Writes a tensor's elements as a flat array.</summary>
    /// <param name="writer">The writer.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="bare">True to write NaN and infinities bare, for clients that sent them so. False: as
    /// strings.</param>
    public static void Write(Utf8JsonWriter writer, in OutputTensor tensor, bool bare)
    {
        writer.WriteStartArray();
        WriteElements(writer, tensor, bare);
        writer.WriteEndArray();
    }

    /// <summary>Writes a tensor's elements without the array brackets.</summary>
    /// <inheritdoc cref="Write"/>
    public static void WriteElements(Utf8JsonWriter writer, in OutputTensor tensor, bool bare)
    {
        switch (tensor.Type.Name)
        {
            case "BOOL":
                foreach (var b in tensor.Raw) writer.WriteBooleanValue(b != 0);
                break;
            case "UINT8": foreach (var n in tensor.Raw) writer.WriteNumberValue((uint)n); break;
            case "UINT16": foreach (var n in Elements<ushort>(tensor)) writer.WriteNumberValue((uint)n); break;
            case "UINT32": foreach (var n in Elements<uint>(tensor)) writer.WriteNumberValue(n); break;
            case "UINT64": foreach (var n in Elements<ulong>(tensor)) writer.WriteNumberValue(n); break;
            case "INT8": foreach (var n in Elements<sbyte>(tensor)) writer.WriteNumberValue((int)n); break;
            case "INT16": foreach (var n in Elements<short>(tensor)) writer.WriteNumberValue((int)n); break;
            case "INT32": foreach (var n in Elements<int>(tensor)) writer.WriteNumberValue(n); break;
            case "INT64": foreach (var n in Elements<long>(tensor)) writer.WriteNumberValue(n); break;
            case "FP16": foreach (var h in Elements<Half>(tensor)) WriteFloat(writer, (float)h, bare); break;
            case "BF16":
                foreach (var b in Elements<ushort>(tensor))
                    WriteFloat(writer, BitConverter.UInt32BitsToSingle((uint)b << 16), bare);
                break;
            case "FP32": foreach (var f in Elements<float>(tensor)) WriteFloat(writer, f, bare); break;
            case "FP64":
                foreach (var d in Elements<double>(tensor))
                    if (double.IsFinite(d)) writer.WriteNumberValue(d);
                    else WriteNotFinite(writer, d, bare);
                break;
            default:
                for (var i = 0; i < tensor.Count; i++) writer.WriteStringValue(tensor.Text(i));
                break;
        }
    }

    private static void ReadAny(ReadOnlySpan<byte> json, Span<byte> into, string tensor, DataType type, long[] shape)
    {
        var place = new Place(tensor, type.Name, shape);
        var reader = new Utf8JsonReader(json, RequestJson.Options);
        reader.Read();
        switch (type.Name)
        {
            case "BOOL": Fill<byte>(ref reader, into, place, Bool); break;
            case "UINT8": Fill<byte>(ref reader, into, place, Integer<byte>); break;
            case "UINT16": Fill<ushort>(ref reader, into, place, Integer<ushort>); break;
            case "UINT32": Fill<uint>(ref reader, into, place, Integer<uint>); break;
            case "UINT64": Fill<ulong>(ref reader, into, place, Unsigned); break;
            case "INT8": Fill<sbyte>(ref reader, into, place, Integer<sbyte>); break;
            case "INT16": Fill<short>(ref reader, into, place, Integer<short>); break;
            case "INT32": Fill<int>(ref reader, into, place, Integer<int>); break;
            case "INT64": Fill<long>(ref reader, into, place, Integer<long>); break;
            case "FP16": Fill<Half>(ref reader, into, place, HalfFloat); break;
            case "BF16": Fill<ushort>(ref reader, into, place, BrainFloat); break;
            case "FP32": Fill<float>(ref reader, into, place, Float); break;
            default: Fill<double>(ref reader, into, place, Double); break;
        }
    }

    private static ReadOnlySpan<T> Elements<T>(in OutputTensor tensor)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(tensor.Raw);

    private static void WriteFloat(Utf8JsonWriter writer, float value, bool bare)
    {
        if (float.IsFinite(value)) writer.WriteNumberValue(value);
        else WriteNotFinite(writer, value, bare);
    }

    private static void WriteNotFinite(Utf8JsonWriter writer, double value, bool bare)
    {
        var text = value.ToString(CultureInfo.InvariantCulture);
        if (bare) writer.WriteRawValue(text, skipInputValidation: true);
        else writer.WriteStringValue(text);
    }

    private static void Fill<T>(ref Utf8JsonReader reader, Span<byte> into, in Place place, Element<T> read)
        where T : unmanaged => Walk(ref reader, place, new Sink<T>(MemoryMarshal.Cast<byte, T>(into), read));

    /// <summary>Reads the elements of a flat or nested list, and checks that their number matches the shape.</summary>
    private static void Walk<TSink>(ref Utf8JsonReader reader, in Place place, TSink sink)
        where TSink : ISink, allows ref struct
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw place.Wrong(ref reader, "a list");
        long total = 1, count = 0;
        foreach (var d in place.Shape) total *= d;
        var depth = 1;
        while (depth > 0 && reader.Read())
        {
            if (reader.TokenType == JsonTokenType.StartArray) depth++;
            else if (reader.TokenType == JsonTokenType.EndArray) depth--;
            else
            {
                if (count == total) throw place.Amount(total, "more");
                sink.Put(ref reader, (int)count++, place);
            }
        }

        if (count != total) throw place.Amount(total, $"{count}");
    }

    private static byte Bool(ref Utf8JsonReader reader, in Place place) => reader.TokenType switch
    {
        JsonTokenType.True => 1,
        JsonTokenType.False => 0,
        JsonTokenType.Number when reader.TryGetByte(out var b) && b <= 1 => b,
        _ => throw place.Wrong(ref reader, "true or false"),
    };

    private static T Integer<T>(ref Utf8JsonReader reader, in Place place)
        where T : unmanaged, System.Numerics.IBinaryInteger<T>, System.Numerics.IMinMaxValue<T>
    {
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var n)
            && n >= long.CreateChecked(T.MinValue) && n <= long.CreateChecked(T.MaxValue)) return T.CreateTruncating(n);
        throw place.Wrong(ref reader, $"a whole number from {T.MinValue} to {T.MaxValue}");
    }

    private static ulong Unsigned(ref Utf8JsonReader reader, in Place place) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out var n) ? n
            : throw place.Wrong(ref reader, $"a whole number from 0 to {ulong.MaxValue}");

    private static float Float(ref Utf8JsonReader reader, in Place place) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetSingle(out var f) && float.IsFinite(f) ? f
            : (float)NotFinite(ref reader, place, $"a number within {float.MaxValue:R}");

    private static double Double(ref Utf8JsonReader reader, in Place place) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out var d) && double.IsFinite(d) ? d
            : NotFinite(ref reader, place, $"a number within {double.MaxValue:R}");

    /// <summary>Parses the text directly. Rounding twice, through a wider float, would not be exact.</summary>
    private static Half HalfFloat(ref Utf8JsonReader reader, in Place place)
    {
        if (reader.TokenType == JsonTokenType.Number)
        {
            var text = reader.HasValueSequence ? reader.ValueSequence.ToArray() : reader.ValueSpan;
            if (Half.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var h) && Half.IsFinite(h))
                return h;
        }

        return (Half)NotFinite(ref reader, place, "a number within 65504");
    }

    /// <summary>Returns the upper half of a float's bits, rounded to nearest, ties to even.</summary>
    private static ushort BrainFloat(ref Utf8JsonReader reader, in Place place)
    {
        var value = Float(ref reader, place);
        var bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static double NotFinite(ref Utf8JsonReader reader, in Place place, string wanted)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            if (reader.ValueTextEquals("NaN"u8)) return double.NaN;
            if (reader.ValueTextEquals("Infinity"u8)) return double.PositiveInfinity;
            if (reader.ValueTextEquals("-Infinity"u8)) return double.NegativeInfinity;
        }

        throw place.Wrong(ref reader, wanted);
    }

    private interface ISink
    {
        void Put(ref Utf8JsonReader reader, int index, in Place place);
    }

    private readonly ref struct Sink<T>(Span<T> into, Element<T> read) : ISink
        where T : unmanaged
    {
        private readonly Span<T> into = into;

        public void Put(ref Utf8JsonReader reader, int index, in Place place) => into[index] = read(ref reader, place);
    }

    private readonly struct StringSink(OrtValue into) : ISink
    {
        public void Put(ref Utf8JsonReader reader, int index, in Place place)
        {
            if (reader.TokenType != JsonTokenType.String) throw place.Wrong(ref reader, "a string");
            into.StringTensorSetElementAt(System.Text.Encoding.UTF8.GetBytes(reader.GetString()!), index);
        }
    }

    /// <summary>The tensor that is read, for error messages.</summary>
    private readonly record struct Place(string Tensor, string Type, long[] Shape)
    {
        public InvalidRequestException Wrong(ref Utf8JsonReader reader, string wanted)
        {
            var text = reader.TokenType switch
            {
                JsonTokenType.StartArray => "a list",
                JsonTokenType.StartObject => "an object",
                JsonTokenType.Null => "null",
                JsonTokenType.String => $"\"{Shown(reader)}\"",
                _ => Shown(reader),
            };
            return new InvalidRequestException($"input '{Tensor}': data has {text}; expected {wanted} ({Type})");
        }

        public InvalidRequestException Amount(long total, string came) => new(
            $"input '{Tensor}': Shape does not match true shape of 'data' field: data has {came} elements; "
            + $"expected {total} for shape [{string.Join(",", Shape)}]");

        /// <summary>Returns the value's text. A long text is cut between two characters.</summary>
        private static string Shown(in Utf8JsonReader reader)
        {
            ReadOnlySpan<byte> text = reader.HasValueSequence ? reader.ValueSequence.ToArray() : reader.ValueSpan;
            if (text.Length <= MaxShown) return System.Text.Encoding.UTF8.GetString(text);
            var end = MaxShown;
            // A byte 10xxxxxx continues a character (RFC 3629).
            while (end > 0 && (text[end] & 0xC0) == 0x80) end--;
            return System.Text.Encoding.UTF8.GetString(text[..end]) + "...";
        }
    }
}
