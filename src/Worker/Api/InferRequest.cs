using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>An output that a client asks for.</summary>
/// <param name="Name">Of the model's outputs.</param>
/// <param name="Binary">As binary data; null: as the request says for all.</param>
/// <param name="Classes">Only the highest so many, as <c>value:index:label</c>; 0: all values.</param>
public sealed record WantedOutput(string Name, bool? Binary, int Classes = 0);

/// <summary>An input as it came: where its elements stand in the body, to be read into a batch's memory when it has a place.</summary>
/// <param name="Name">Of the model's inputs.</param>
/// <param name="Type">Its datatype.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Count">Its elements.</param>
/// <param name="Json">The JSON list; empty when it came as binary data.</param>
/// <param name="Binary">The binary data.</param>
/// <param name="RawText">BYTES of a raw request: the body is the one element, without a length before it.</param>
public sealed record InputTensor(string Name, DataType Type, long[] Shape, long Count, ReadOnlyMemory<byte> Json, ReadOnlySequence<byte> Binary,
    bool RawText = false)
{
    /// <summary>A NaN or an infinity in its JSON was bare; known when it was read.</summary>
    public bool HasBareNumbers { get; private set; }

    /// <summary>Reads numbers into their place; throws <see cref="InvalidRequestException"/> saying which is wrong.</summary>
    public void Read(Span<byte> into)
    {
        if (Json.IsEmpty) BinaryTensors.Read(Binary, into, Name, Type, Count);
        else HasBareNumbers = JsonTensors.Read(Json.Span, into, Name, Type, Shape);
    }

    /// <summary>Reads elements of any type into a tensor of their own.</summary>
    public void Read(OrtValue into)
    {
        if (!Type.IsBytes) Read(into.GetTensorMutableRawData());
        else if (RawText) into.StringTensorSetElementAt(Binary.ToArray(), 0);
        else if (Json.IsEmpty) BinaryTensors.ReadBytes(Binary, into, Name, Count);
        else JsonTensors.ReadStrings(Json.Span, into, Name, Shape);
    }
}

/// <summary>A request of the Open Inference Protocol, its tensors still in the body.</summary>
public sealed class InferRequest(LoadedModel model)
{
    /// <summary>Echoed; null: it has none. An empty one is none, as in Triton.</summary>
    public string? Id
    {
        get;
        set => field = string.IsNullOrEmpty(value) ? null : value;
    }

    /// <summary>Its client writes NaN and infinities bare, and reads them so.</summary>
    public bool HasBareNumbers => Array.Exists(Inputs, i => i is { HasBareNumbers: true });

    /// <summary>In the model's order; complete when the request was read.</summary>
    public InputTensor?[] Inputs { get; } = new InputTensor?[model.Inputs.Count];

    public List<WantedOutput> Outputs { get; } = [];

    /// <summary>What <c>binary_data_output</c> says for outputs that say nothing.</summary>
    public bool BinaryOutput { get; set; }

    /// <summary>1 goes first, larger numbers later. 0 in a request (the default) is the middle: Triton's <c>default_priority_level</c>.</summary>
    public uint Priority { get; set; } = DefaultPriority;

    /// <summary>How long it may wait for its run, in microseconds; 0: as long as its caller.</summary>
    public long TimeoutUs { get; set; }

    /// <summary>The first dimension of its tensors, where the model's requests are stacked.</summary>
    public int Rows { get; private set; } = 1;

    /// <summary>Rows that it takes of what a batch may have. More than that: it goes alone.</summary>
    public int Share { get; private set; } = 1;

    /// <summary>It goes alone, in tensors of its own: it is larger than a batch, or its model's requests have nothing in common.</summary>
    public bool Alone => !model.Pooled || Share > model.MaxBatch;

    /// <summary>Tensors of any batch of its model are right for it.</summary>
    public bool FitsAny => model.FixedRows && !Alone;

    /// <summary>The JSON that it came as; empty when it is a raw request.</summary>
    public ReadOnlyMemory<byte> Json { get; init; }

    /// <summary>Equal for requests whose tensors can be stacked.</summary>
    public int Shape { get; private set; }

    private const uint DefaultPriority = 1 << 16;

    /// <summary>Determines its share of a batch, when all inputs are known; throws when they do not agree.</summary>
    public void Settle()
    {
        if (!model.Batches) return;
        var rows = Inputs[0]!.Shape[0];
        foreach (var input in Inputs)
            if (input!.Shape[0] != rows)
                throw new InvalidRequestException($"input '{input.Name}' has a batch size of {input.Shape[0]}, but input '{Inputs[0]!.Name}' of {rows}, "
                    + $"for model '{model.Name}'");
        Rows = (int)Math.Min(rows, int.MaxValue);
        // Nothing, more than a batch, or rows of a size for which a batch would take too much memory: alone, in one run.
        Share = rows == 0 || rows > model.MaxBatch || model.RowsOf(RowBytes()) < model.MaxBatch ? model.MaxBatch + 1 : Rows;
        Shape = model.ShapeKey(this);
    }

    /// <summary>What is wrong with its tensors: texts are read only when they have their place.</summary>
    public InvalidRequestException Explain(Exception error) => error switch
    {
        InvalidRequestException known => known,
        JsonException syntax => InferRequestReader.Syntax(Json.Span, syntax),
        InvalidOperationException { InnerException: DecoderFallbackException } => InferRequestReader.NotUtf8(),
        _ => new InvalidRequestException(error.Message),
    };

    private long RowBytes()
    {
        var bytes = 0L;
        foreach (var input in Inputs) bytes += input!.Count / Math.Max(1, input.Shape[0]) * input.Type.Size;
        return bytes;
    }
}
