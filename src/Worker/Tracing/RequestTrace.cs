using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Worker.Batching;

namespace Sluice.Worker.Tracing;

/// <summary>
/// Records the times at which a request reaches trace points, in nanoseconds of the machine's monotonic clock. The
/// points have Triton's names. Disposing ends the trace of a successful or failed request; points that were not
/// reached are missing.
/// </summary>
internal sealed class RequestTrace : IDisposable
{
    /// <summary>Maximum length of a request id in characters, so that a client cannot fill the log.</summary>
    private const int MaxId = 200;

    private readonly TraceSampler sampler;
    private readonly int number;
    private readonly string model;
    private readonly string version;
    private readonly List<(string Name, long At)> points = new(8);

    /// <param name="sampler">Receives the trace when it ends.</param>
    /// <param name="number">Id of the trace.</param>
    /// <param name="model">Name of the model.</param>
    /// <param name="version">Version of the model.</param>
    public RequestTrace(TraceSampler sampler, int number, string model, string version)
    {
        this.sampler = sampler;
        this.number = number;
        this.model = model;
        this.version = version;
        Reached("REQUEST_START");
    }

    /// <summary>The id of the request that the client chose.</summary>
    public string? RequestId { get; set; }

    /// <summary>Records that the request has reached a point now.</summary>
    public void Reached(string point) => points.Add((point, Stopwatch.GetTimestamp()));

    /// <summary>
    /// Adds the points that the scheduler has measured, before the response is written. The tensors of a request are
    /// read while its batch is formed. The trace places that time directly before the run, as the statistics do, so
    /// that both report the same durations.
    /// </summary>
    public void AddRun(Inference inference)
    {
        var input = (long)(inference.Input.TotalSeconds * Stopwatch.Frequency);
        var infer = (long)(inference.Infer.TotalSeconds * Stopwatch.Frequency);
        points.Add(("QUEUE_START", inference.Arrived));
        points.Add(("COMPUTE_START", Math.Max(inference.Arrived, inference.Begun - input)));
        points.Add(("COMPUTE_INPUT_END", inference.Begun));
        points.Add(("COMPUTE_OUTPUT_START", inference.Begun + infer));
    }

    public void Dispose()
    {
        Reached("REQUEST_END");
        sampler.Write(Format());
    }

    /// <summary>Returns the two entries that Triton's trace files contain for a request.</summary>
    private string Format()
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
