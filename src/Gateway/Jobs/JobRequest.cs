using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Endpoint = Sluice.Domain.Declarations.Endpoint;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// The body of <c>/run</c> and <c>/runsync</c>: <c>{"input": any, "webhook": url, "policy": {executionTimeout, ttl,
/// lowPriority}, "s3Config": {...}}</c>. Other fields are ignored, as in RunPod's API. An unknown field of the policy
/// is an error.
/// </summary>
public sealed record JobRequest
{
    /// <summary>Maximum of executionTimeout and ttl, the same as of RunPod.</summary>
    private static readonly TimeSpan MaxTime = TimeSpan.FromDays(7);

    /// <summary>Maximum size of s3Config, in bytes. It is stored in Redis and is read with each claim.</summary>
    private const int MaxS3 = 16 << 10;

    private static readonly TimeSpan MinTimeout = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MinTtl = TimeSpan.FromSeconds(1);

    /// <summary>The input, as JSON.</summary>
    public required byte[] Input { get; init; }

    /// <summary>The s3Config, as JSON.</summary>
    public byte[]? S3 { get; init; }

    /// <summary>The webhook URL.</summary>
    public string? Webhook { get; init; }

    /// <summary>Maximum time of one attempt.</summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>How long the job may wait in the queue.</summary>
    public TimeSpan Ttl { get; init; }

    /// <summary>Whether jobs of normal priority run first.</summary>
    public bool LowPriority { get; init; }

    /// <summary>Parses the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="endpoint">The endpoint, which has the default values.</param>
    /// <param name="errors">Receives every invalid field with its value and the rule.</param>
    /// <returns>Null if there are errors.</returns>
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
                errors.Add(new FieldError("(body)", QuotedText.Shorten(root), "an object with the field input"));
                return null;
            }

            if (!root.TryGetProperty("input", out var input))
                errors.Add(new FieldError("input", "", "a value: it is required" + Hint(root)));
            if (root.TryGetProperty("webhookV2", out var other))
                errors.Add(new FieldError("webhookV2", QuotedText.Shorten(other),
                    "no value: use webhook, which is signed as in Standard Webhooks"));
            byte[]? s3 = null;
            if (root.TryGetProperty("s3Config", out var config) && config.ValueKind != JsonValueKind.Null)
            {
                if (config.ValueKind != JsonValueKind.Object)
                    errors.Add(new FieldError("s3Config", QuotedText.Shorten(config), "an object"));
                else if (JsonMarshal.GetRawUtf8Value(config).Length > MaxS3)
                    errors.Add(new FieldError("s3Config", QuotedText.Shorten(config), $"at most {MaxS3} bytes"));
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

    /// <summary>
    /// Returns a hint for a body of the Open Inference Protocol, which must be the value of the field input.
    /// </summary>
    private static string Hint(JsonElement root) =>
        root.TryGetProperty("inputs", out _) ? """ (send {"input": {"inputs": [...]}})"""
        : root.TryGetProperty("text_input", out _) ? """ (send {"input": {"text_input": ...}})""" : "";

    private static string? Url(JsonElement root, List<FieldError> errors)
    {
        if (!root.TryGetProperty("webhook", out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.String && IsText(value)
            && value.GetString() is { Length: > 0 and <= 2048 } url) return url;
        if (value.ValueKind == JsonValueKind.String && value.ValueEquals("")) return null;
        errors.Add(new FieldError("webhook", QuotedText.Shorten(value), "a URL of at most 2048 characters"));
        return null;
    }

    private static JobRequest Policy(JsonElement root, JobRequest request, List<FieldError> errors)
    {
        if (!root.TryGetProperty("policy", out var policy) || policy.ValueKind == JsonValueKind.Null) return request;
        if (policy.ValueKind != JsonValueKind.Object)
        {
            errors.Add(new FieldError("policy", QuotedText.Shorten(policy),
                "an object with executionTimeout, ttl and lowPriority"));
            return request;
        }

        foreach (var field in policy.EnumerateObject())
        {
            if (field.Value.ValueKind == JsonValueKind.Null) continue;
            var name = $"policy.{field.Name}";
            if (field.NameEquals("executionTimeout"))
                request = request with { Timeout = Ms(field.Value, name, MinTimeout, request.Timeout, errors) };
            else if (field.NameEquals("ttl"))
                request = request with { Ttl = Ms(field.Value, name, MinTtl, request.Ttl, errors) };
            else if (!field.NameEquals("lowPriority"))
                errors.Add(new FieldError(name, QuotedText.Shorten(field.Value),
                    "a known field (executionTimeout, ttl, lowPriority)"));
            else if (field.Value.ValueKind is JsonValueKind.True or JsonValueKind.False)
                request = request with { LowPriority = field.Value.GetBoolean() };
            else errors.Add(new FieldError(name, QuotedText.Shorten(field.Value), "true or false"));
        }

        return request;
    }

    private static TimeSpan Ms(JsonElement value, string name, TimeSpan min, TimeSpan defaultValue,
        List<FieldError> errors)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var ms)
            && ms >= min.TotalMilliseconds && ms <= MaxTime.TotalMilliseconds) return TimeSpan.FromMilliseconds(ms);
        errors.Add(new FieldError(name, QuotedText.Shorten(value), string.Create(CultureInfo.InvariantCulture,
            $"ms, {min.TotalMilliseconds:0} to {MaxTime.TotalMilliseconds:0}")));
        return defaultValue;
    }

    private static bool IsText(JsonElement value)
    {
        try
        {
            return value.GetString() is not null;
        }
        catch (InvalidOperationException)
        {
            // The string contains half a surrogate pair.
            return false;
        }
    }
}
