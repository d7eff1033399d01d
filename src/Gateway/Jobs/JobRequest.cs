using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Core.Endpoints;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// The body of <c>/run</c> and <c>/runsync</c>: <c>{"input": any, "webhook": url, "policy": {executionTimeout, ttl, lowPriority},
/// "s3Config": {...}}</c>. Other fields are ignored, as RunPod does; a policy with an unknown field is a mistake.
/// </summary>
public sealed record JobRequest
{
    /// <summary>RunPod's upper bound for both times.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    /// <summary>Bytes of an s3Config: it lies in Redis itself and comes with each claim.</summary>
    private const int MaxS3 = 16 << 10;

    private static readonly TimeSpan ShortestRun = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ShortestTtl = TimeSpan.FromSeconds(1);

    public required byte[] Input { get; init; }

    public byte[]? S3 { get; init; }

    public string? Webhook { get; init; }

    public TimeSpan Timeout { get; init; }

    public TimeSpan Ttl { get; init; }

    public bool LowPriority { get; init; }

    /// <summary>Reads it. Every mistake is told with field, value and what would be right; the request is null then.</summary>
    public static JobRequest? Read(ReadOnlyMemory<byte> body, Endpoint endpoint, List<FieldError> errors)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 512 });
        }
        catch (JsonException e)
        {
            errors.Add(new FieldError("(body)", "", $"JSON: {e.Message}"));
            return null;
        }

        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                errors.Add(new FieldError("(body)", Shown(root), "an object with the field input"));
                return null;
            }

            if (!root.TryGetProperty("input", out var input)) errors.Add(new FieldError("input", "", "a value: it is required" + Hint(root)));
            if (root.TryGetProperty("webhookV2", out var other))
                errors.Add(new FieldError("webhookV2", Shown(other), "no such field here (use webhook: signed by the Standard Webhooks convention)"));
            byte[]? s3 = null;
            if (root.TryGetProperty("s3Config", out var config) && config.ValueKind != JsonValueKind.Null)
            {
                if (config.ValueKind != JsonValueKind.Object) errors.Add(new FieldError("s3Config", Shown(config), "an object"));
                else if (JsonMarshal.GetRawUtf8Value(config).Length > MaxS3) errors.Add(new FieldError("s3Config", Shown(config), $"at most {MaxS3} bytes"));
                else s3 = JsonMarshal.GetRawUtf8Value(config).ToArray();
            }

            var request = new JobRequest
            {
                Input = input.ValueKind == JsonValueKind.Undefined ? [] : JsonMarshal.GetRawUtf8Value(input).ToArray(),
                S3 = s3,
                Webhook = Url(root, errors),
                Timeout = endpoint.Forwarding.ExecutionTimeout,
                Ttl = endpoint.Jobs.Ttl,
            };
            request = Policy(root, request, errors);
            return errors.Count > 0 ? null : request;
        }
    }

    /// <summary>An inference or a generation of the Open Inference Protocol, sent as a job: it goes into the input.</summary>
    private static string Hint(JsonElement root) => root.TryGetProperty("inputs", out _) ? """ (send {"input": {"inputs": [...]}})"""
        : root.TryGetProperty("text_input", out _) ? """ (send {"input": {"text_input": ...}})""" : "";

    private static string? Url(JsonElement root, List<FieldError> errors)
    {
        if (!root.TryGetProperty("webhook", out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.String && IsText(value) && value.GetString() is { Length: > 0 and <= 2048 } url) return url;
        if (value.ValueKind == JsonValueKind.String && value.ValueEquals("")) return null;
        errors.Add(new FieldError("webhook", Shown(value), "a URL of at most 2048 characters"));
        return null;
    }

    private static JobRequest Policy(JsonElement root, JobRequest request, List<FieldError> errors)
    {
        if (!root.TryGetProperty("policy", out var policy) || policy.ValueKind == JsonValueKind.Null) return request;
        if (policy.ValueKind != JsonValueKind.Object)
        {
            errors.Add(new FieldError("policy", Shown(policy), "an object with executionTimeout, ttl and lowPriority"));
            return request;
        }

        foreach (var field in policy.EnumerateObject())
        {
            if (field.Value.ValueKind == JsonValueKind.Null) continue;
            var name = $"policy.{field.Name}";
            if (field.NameEquals("executionTimeout")) request = request with { Timeout = Ms(field.Value, name, ShortestRun, request.Timeout, errors) };
            else if (field.NameEquals("ttl")) request = request with { Ttl = Ms(field.Value, name, ShortestTtl, request.Ttl, errors) };
            else if (!field.NameEquals("lowPriority")) errors.Add(new FieldError(name, Shown(field.Value), "no such field (known: executionTimeout, ttl, lowPriority)"));
            else if (field.Value.ValueKind is JsonValueKind.True or JsonValueKind.False) request = request with { LowPriority = field.Value.GetBoolean() };
            else errors.Add(new FieldError(name, Shown(field.Value), "true or false"));
        }

        return request;
    }

    private static TimeSpan Ms(JsonElement value, string name, TimeSpan least, TimeSpan otherwise, List<FieldError> errors)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var ms)
            && ms >= least.TotalMilliseconds && ms <= Longest.TotalMilliseconds) return TimeSpan.FromMilliseconds(ms);
        errors.Add(new FieldError(name, Shown(value), string.Create(CultureInfo.InvariantCulture,
            $"ms, {least.TotalMilliseconds:0} to {Longest.TotalMilliseconds:0}")));
        return otherwise;
    }

    private static bool IsText(JsonElement value)
    {
        try
        {
            return value.GetString() is not null;
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair.
            return false;
        }
    }

    private static string Shown(JsonElement value)
    {
        var text = value.GetRawText();
        return text.Length <= 80 ? text : text[..77] + "...";
    }
}
