using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Requests;

/// <summary>
/// A parsed request of the Open Inference Protocol. The elements of its tensors are still in the body.
/// </summary>
public sealed class InferRequest(OnnxModel model)
{
    private const uint DefaultPriority = 1 << 16;

    /// <summary>
    /// The request id, which the response repeats. Null if the request has none or, as in Triton, an empty one.
    /// </summary>
    public string? Id
    {
        get;
        set => field = string.IsNullOrEmpty(value) ? null : value;
    }

    /// <summary>
    /// Whether the client sent unquoted NaN or infinities. The response to such a client contains them unquoted too.
    /// </summary>
    public bool HasBareNumbers => Array.Exists(Inputs, i => i is { HasBareNumbers: true });

    /// <summary>The span of the request; null: it is not recorded.</summary>
    public Activity? Span { get; set; }

    /// <summary>Inputs in the model's order. No element is null after the request was read.</summary>
    public InputTensor?[] Inputs { get; } = new InputTensor?[model.Inputs.Count];

    /// <summary>The requested outputs; empty: all outputs.</summary>
    public List<WantedOutput> Outputs { get; } = [];

    /// <summary>The parameter <c>binary_data_output</c>: the default for outputs without <c>binary_data</c>.</summary>
    public bool BinaryOutput { get; set; }

    /// <summary>
    /// Priority in the queue; 1 is the highest. 0 in a request (the default) is replaced by the middle of the range,
    /// which corresponds to Triton's <c>default_priority_level</c>.
    /// </summary>
    public uint Priority { get; set; } = DefaultPriority;

    /// <summary>Maximum wait for the run, in microseconds; 0: no limit except the caller's own timeout.</summary>
    public long TimeoutUs { get; set; }

    /// <summary>The first dimension of the tensors if the model's requests are stacked, else 1.</summary>
    public int Rows { get; private set; } = 1;

    /// <summary>
    /// Rows of a batch that the request uses. A value above the model's maximum: the request runs alone.
    /// </summary>
    public int Share { get; private set; } = 1;

    /// <summary>
    /// Whether the request runs alone, in separate tensors: it is larger than a batch, or the model's requests cannot
    /// share tensors.
    /// </summary>
    public bool Alone => !model.Pooled || Share > model.MaxBatch;

    /// <summary>Whether the tensors of every batch of the model fit the request.</summary>
    public bool FitsAny => model.FixedRows && !Alone;

    /// <summary>The JSON document of the request; empty for a raw request.</summary>
    public ReadOnlyMemory<byte> Json { get; init; }

    /// <summary>A key that is equal for requests whose tensors can be stacked.</summary>
    public int Shape { get; private set; }

    /// <summary>Computes the request's share of a batch from its inputs, after all inputs were read.</summary>
    /// <exception cref="InvalidRequestException">The inputs have different batch sizes.</exception>
    public void ComputeBatchShare()
    {
        if (!model.Batches) return;
        var rows = Inputs[0]!.Shape[0];
        foreach (var input in Inputs)
            if (input!.Shape[0] != rows)
                throw new InvalidRequestException(
                    $"The batch size of input '{input.Name}' is '{input.Shape[0]}'; expected {rows}, the batch size of "
                    + $"input '{Inputs[0]!.Name}', for model '{model.Name}'.");
        Rows = (int)Math.Min(rows, int.MaxValue);
        // A request with no rows, with more rows than a batch, or with rows so large that a batch of them would use too
        // much memory runs alone.
        var isAlone = rows == 0 || rows > model.MaxBatch || model.RowsOf(RowBytes()) < model.MaxBatch;
        Share = isAlone ? model.MaxBatch + 1 : Rows;
        Shape = model.ShapeKey(Inputs.Select(i => i!.Shape));
    }

    /// <summary>
    /// Converts an exception of reading the tensors to an error for the client. Texts are validated only when they
    /// are read into their tensor.
    /// </summary>
    public InvalidRequestException Explain(Exception error) => error switch
    {
        InvalidRequestException known => known,
        JsonException syntax => RequestJson.Syntax(Json.Span, syntax),
        InvalidOperationException { InnerException: DecoderFallbackException } => RequestJson.NotUtf8(),
        _ => new InvalidRequestException(error.Message),
    };

    private long RowBytes()
    {
        var bytes = 0L;
        foreach (var input in Inputs) bytes += input!.Count / Math.Max(1, input.Shape[0]) * input.Type.Size;
        return bytes;
    }
}
