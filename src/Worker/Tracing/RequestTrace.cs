using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Worker.Batching;

namespace Sluice.Worker.Tracing;

/// <summary>
/// When a request was where, in nanoseconds of the machine's steady clock, under Triton's names. It ends with its disposal, whatever
/// became of the request; a point that it did not reach is missing.
/// </summary>
internal sealed class RequestTrace : IDisposable
{
    /// <summary>Of a client's id, so that no client can fill a log.</summary>
    private const int MaxId = 200;

    private readonly TraceSampler sampler;
    private readonly int number;
    private readonly string model;
    private readonly string version;
    private readonly List<(string Name, long At)> points = new(8);

    public RequestTrace(TraceSampler sampler, int number, string model, string version)
    {
        (this.sampler, this.number, this.model, this.version) = (sampler, number, model, version);
        Reached("REQUEST_START");
    }

    /// <summary>The client's name of the request.</summary>
    public string? RequestId { get; set; }

    public void Reached(string point) => points.Add((point, Stopwatch.GetTimestamp()));

    /// <summary>
    /// What the scheduler knows, when the answer begins to be written. A request's tensors are read while its batch forms; here, as in the
    /// statistics, that time stands right before the run, so that both tell the same durations.
    /// </summary>
    public void Ran(Inference inference)
    {
        var input = (long)(inference.Input.TotalSeconds * Stopwatch.Frequency);
        points.Add(("QUEUE_START", inference.Arrived));
        points.Add(("COMPUTE_START", Math.Max(inference.Arrived, inference.Begun - input)));
        points.Add(("COMPUTE_INPUT_END", inference.Begun));
        points.Add(("COMPUTE_OUTPUT_START", inference.Begun + (long)(inference.Infer.TotalSeconds * Stopwatch.Frequency)));
    }

    public void Dispose()
    {
        Reached("REQUEST_END");
        sampler.Ended(Text());
    }

    /// <summary>The two entries that Triton's trace files have for a request.</summary>
    private string Text()
    {
        var bytes = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(bytes);
        json.WriteStartArray();
        json.WriteStartObject();
        json.WriteString("model_name", model);
        json.WriteNumber("model_version", long.Parse(version, CultureInfo.InvariantCulture));
        json.WriteNumber("id", number);
        json.WriteString("request_id", RequestId is { Length: > MaxId } id ? id[..MaxId] : RequestId ?? "");
        json.WriteEndObject();
        json.WriteStartObject();
        json.WriteNumber("id", number);
        json.WriteStartArray("timestamps");
        foreach (var (name, at) in points)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteNumber("ns", (long)(at * (1e9 / Stopwatch.Frequency)));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.Flush();
        return Encoding.UTF8.GetString(bytes.WrittenSpan[1..^1]);
    }
}
