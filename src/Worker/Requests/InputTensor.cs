using System.Buffers;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Requests;

/// <summary>An output that a client requests.</summary>
/// <param name="Name">Name of an output of the model.</param>
/// <param name="Binary">Whether it is sent as binary data; null: as <c>binary_data_output</c> of the request.</param>
/// <param name="Classes">Number of highest values to return as <c>value:index:label</c>; 0: all values.</param>
public sealed record WantedOutput(string Name, bool? Binary, int Classes = 0);

/// <summary>
/// An input of a request: a reference to its elements in the body. The elements are read into the memory of a batch
/// after the request has a place in one.
/// </summary>
/// <param name="Name">Name of an input of the model.</param>
/// <param name="Type">Datatype of the elements.</param>
/// <param name="Shape">Shape, including the batch dimension.</param>
/// <param name="Count">Number of elements.</param>
/// <param name="Json">The JSON list; empty if the input is binary data.</param>
/// <param name="Binary">The binary data.</param>
/// <param name="RawText">
/// Whether this is the BYTES input of a raw request: the body is the only element, without a length before it.
/// </param>
public sealed record InputTensor(
    string Name,
    DataType Type,
    long[] Shape,
    long Count,
    ReadOnlyMemory<byte> Json,
    ReadOnlySequence<byte> Binary,
    bool RawText = false)
{
    /// <summary>Whether the JSON contains an unquoted NaN or infinity. Set when the elements are read.</summary>
    public bool HasBareNumbers { get; private set; }

    /// <summary>Reads numbers into memory.</summary>
    /// <exception cref="InvalidRequestException">An element is invalid; the message names it.</exception>
    public void Read(Span<byte> into)
    {
        if (Json.IsEmpty) BinaryTensors.Read(Binary, into, Name, Type, Count);
        else HasBareNumbers = JsonTensors.Read(Json.Span, into, Name, Type, Shape);
    }

    /// <summary>Reads elements of any type into a separate tensor.</summary>
    public void Read(OrtValue into)
    {
        if (!Type.IsBytes) Read(into.GetTensorMutableRawData());
        else if (RawText) into.StringTensorSetElementAt(Binary.ToArray(), 0);
        else if (Json.IsEmpty) BinaryTensors.ReadBytes(Binary, into, Name, Count);
        else JsonTensors.ReadStrings(Json.Span, into, Name, Shape);
    }
}
