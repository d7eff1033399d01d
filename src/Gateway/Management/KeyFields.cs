using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Management;

/// <summary>
/// Reads the fields of a key from the body of a request, field by field, so that the error of each invalid field
/// contains its name and value. A field that is not given keeps its value; null gives it its default. Pure.
/// </summary>
internal sealed class KeyFields
{
    /// <summary>Maximum length of a key name, in characters.</summary>
    private const int MaxName = 100;

    /// <summary>Maximum of jobBytes: 1 TiB, the same as of <c>jobs.maxKeyBytes</c>.</summary>
    private const long MaxJobBytes = 1L << 40;

    /// <summary>Maximum of tokensPerMinute: more than a cluster of GPUs generates.</summary>
    private const long MaxTokensPerMinute = 1_000_000_000;

    private static readonly string[] Names = ["name", "admin", "read", "metrics", "invoke", "pods", "tags",
        "expiresAt", "requestsPerMinute", "burst", "tokensPerMinute", "concurrent", "queued", "jobBytes", "weight",
        "allowUnknown"];

    private readonly JsonObject given;
    private readonly List<FieldError> errors = [];

    private KeyFields(JsonObject given) => this.given = given;

    /// <summary>Reads a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="current">The key that the body changes; a new key without fields when it creates one.</param>
    /// <param name="isNew">Whether the body creates a key. The scope <c>admin</c> of a key never changes.</param>
    /// <param name="now">The current time, for the expiry.</param>
    /// <returns>The key, whether endpoints may be unknown, and the errors.</returns>
    public static (ApiKey Key, bool AllowUnknown, List<FieldError> Errors) Read(
        JsonNode? body, ApiKey current, bool isNew, DateTimeOffset now)
    {
        if (body is not JsonObject given)
            return (current, false,
                [new FieldError("(all)", body?.ToJsonString() ?? "null", "an object with fields")]);
        var fields = new KeyFields(given);
        foreach (var (name, value) in given)
            if (!Names.Contains(name))
                fields.Error(name, value, $"a known field ({string.Join(", ", Names)})");
        var key = fields.ReadKey(current, now);
        if (!isNew && given.ContainsKey("admin") && key.Scope.Admin != current.Scope.Admin)
            fields.Error("admin", given["admin"], $"{(current.Scope.Admin ? "true" : "false")}: a key cannot become an "
                + "admin key or cease to be one; create another key");
        if (key.Scope is { Admin: false, Read: false, Metrics: false, Invoke.Count: 0, Pods.Count: 0 }
            && fields.errors.Count == 0)
            fields.errors.Add(new FieldError("invoke", "", "endpoint ids that the key may call, or \"*\" for all; "
                + "or one of pods, read, metrics and admin"));
        return (key, fields.Flag("allowUnknown", false), fields.errors);
    }

    private ApiKey ReadKey(ApiKey current, DateTimeOffset now)
    {
        // Records of earlier versions have no limits.
        var limits = current.Limits ?? KeyLimits.None;
        return current with
        {
            Name = Name(current.Name),
            Scope = new KeyScope
            {
                Admin = Flag("admin", current.Scope.Admin),
                Read = Flag("read", current.Scope.Read),
                Metrics = Flag("metrics", current.Scope.Metrics),
                Invoke = Ids("invoke", "an endpoint id", EndpointRules.IsId, current.Scope.Invoke),
                Pods = Ids("pods", "the id of a pod", UserPodRules.IsId, current.Scope.Pods),
            },
            Tags = Tags(current.Tags),
            ExpiresAt = Expiry(current.ExpiresAt, now),
            Limits = new KeyLimits
            {
                RequestsPerMinute = (int)Number("requestsPerMinute", 1_000_000, limits.RequestsPerMinute),
                Burst = (int)Number("burst", 1_000_000, limits.Burst),
                TokensPerMinute = Number("tokensPerMinute", MaxTokensPerMinute, limits.TokensPerMinute),
                Concurrent = (int)Number("concurrent", 1_000_000, limits.Concurrent),
                Queued = (int)Number("queued", 10_000_000, limits.Queued),
                JobBytes = Number("jobBytes", MaxJobBytes, limits.JobBytes),
                Weight = Weight(limits.Weight),
            },
        };
    }

    private string Name(string current)
    {
        if (!Has("name", out var node)) return current;
        if (node is null) return "";
        if (node.GetValueKind() != JsonValueKind.String)
        {
            Error("name", node, "a string");
            return current;
        }

        var name = node.GetValue<string>();
        if (name.Length <= MaxName) return name;
        errors.Add(new FieldError("name", $"{name.Length} characters", $"at most {MaxName} characters"));
        return current;
    }

    private bool Flag(string field, bool current)
    {
        if (!Has(field, out var node)) return current;
        if (node is null) return false;
        if (node.GetValueKind() is JsonValueKind.True or JsonValueKind.False) return node.GetValue<bool>();
        Error(field, node, "true or false");
        return current;
    }

    private long Number(string field, long max, long current)
    {
        if (!Has(field, out var node)) return current;
        if (node is null) return 0;
        if (node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue<long>(out var n) && n >= 0
            && n <= max) return n;
        Error(field, node, $"a whole number from 0 (no limit) to {max}");
        return current;
    }

    private double Weight(double current)
    {
        if (!Has("weight", out var node)) return current;
        if (node is null) return 1;
        if (node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue<double>(out var w) && w >= 0.01
            && w <= 100) return w;
        Error("weight", node, "a number from 0.01 to 100 (the default is 1)");
        return current;
    }

    private IReadOnlyList<string> Ids(
        string field, string expected, Func<string, bool> isId, IReadOnlyList<string> current)
    {
        if (!Has(field, out var node)) return current;
        if (node is null) return [];
        if (node is not JsonArray items)
        {
            Error(field, node, $"a list, each item {expected}, or [\"*\"]");
            return current;
        }

        var ids = new List<string>();
        for (var i = 0; i < items.Count; i++)
        {
            var id = items[i]?.GetValueKind() == JsonValueKind.String ? items[i]!.GetValue<string>() : null;
            if (id is not null && (id == "*" || isId(id))) ids.Add(id);
            else Error($"{field}[{i}]", items[i], $"{expected}, or \"*\"");
        }

        return ids;
    }

    private IReadOnlyDictionary<string, string> Tags(IReadOnlyDictionary<string, string> current)
    {
        if (!Has("tags", out var node)) return current;
        if (node is null) return new Dictionary<string, string>();
        if (node is not JsonObject items)
        {
            Error("tags", node, "an object of names and values, like {\"team\": \"vision\"}");
            return current;
        }

        if (items.Count > KeyTags.MaxCount)
            errors.Add(new FieldError("tags", $"{items.Count} tags", $"at most {KeyTags.MaxCount} tags"));
        var tags = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in items)
        {
            var text = value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;
            if (!KeyTags.IsName(name))
                errors.Add(new FieldError("tags", name, $"a name of {KeyTags.NameForm}"));
            else if (text is null || !KeyTags.IsValue(text))
                Error($"tags.{name}", value, $"a text of {KeyTags.ValueForm}");
            else tags[name] = text;
        }

        return tags;
    }

    private DateTimeOffset? Expiry(DateTimeOffset? current, DateTimeOffset now)
    {
        if (!Has("expiresAt", out var node)) return current;
        if (node is null) return null;
        if (node.GetValueKind() == JsonValueKind.String && node.AsValue().TryGetValue<DateTimeOffset>(out var at)
            && at > now) return at;
        Error("expiresAt", node, "a time in the future, like \"2027-01-31T00:00:00Z\"");
        return current;
    }

    private bool Has(string field, out JsonNode? node) => given.TryGetPropertyValue(field, out node);

    private void Error(string field, JsonNode? node, string expected) =>
        errors.Add(new FieldError(field, node?.ToJsonString() ?? "null", expected));
}
